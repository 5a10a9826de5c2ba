// HostApi: the HTTP API of Flynn's host (port 1113), as its clients speak it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flynn/sdk/host.h"
#include "host_agent.h"
#include "http/listener.h"
#include "http/stream_pump.h"
#include "job_events.h"
#include "volume_folders.h"

namespace flynn::host {

struct HostApiOptions {
  std::string version;             // of the plugin
  std::vector<std::string> keys;   // passwords of peers that are not root or our own user on loopback
  bool trust_own_process = false;  // clients within this process are no router (tests)
};

/// Borrows all; observes `agent`, which must have been quiesced before this ends.
/// Thread: handle [any]; the rest [control].
class HostApi {
 public:
  HostApi(Door& door, Log& log, Machine& machine, HostAgent& agent, const VolumeFolders& volumes,
          HostApiOptions options);
  ~HostApi() { stop(); }

  /// `listening` is ours from here; connections are taken from resume() on.
  Result<void> prepare(UniqueFd listening);
  void resume() { listener_.resume(); }
  void quiesce() { listener_.quiesce(); }
  /// Ends the event streams, whose clients open them again at who follows, and waits for those of attached jobs.
  void drain(Deadline deadline);
  void stop();

  /// Judges who asks, then answers.
  http::HttpResponse handle(const http::HttpRequest& request);

 private:
  using Request = http::HttpRequest;
  using Response = http::HttpResponse;
  struct Route;
  static const std::vector<Route>& routes();
  std::optional<Response> refuse(const Request& request);
  Response route(const Request& request);

  // host_api.cc
  Response status(const Request& request);
  Response check_resources(const Request& request);
  Response list_volumes(const Request& request);
  Response get_volume(const Request& request);
  Response destroy_volume(const Request& request);
  Response list_sinks(const Request& request);

  // host_api_jobs.cc
  Response list_jobs(const Request& request);
  Response get_job(const Request& request);
  Response put_job(const Request& request);
  Response stop_job(const Request& request);
  Response signal_job(const Request& request);
  Response withdraw_job(const Request& request);
  Response attach(const Request& request);
  Response follow(std::string job_id);
  Result<std::string> id_of(const Request& request) const;
  Result<void> check_app_and_layers(const json::object& spec);
  json::object tell(const JobUnit& unit) const;

  Door& door_;
  Log& log_;
  Machine& machine_;
  HostAgent& agent_;
  const VolumeFolders& volumes_;
  const HostApiOptions options_;
  const std::string host_id_;
  std::string url_;
  http::StreamPump pump_;
  JobEvents events_;
  http::HttpListener listener_;
};

}  // namespace flynn::host
