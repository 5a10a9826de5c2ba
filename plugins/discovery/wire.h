// Wire: Flynn's HTTP API of discovery (port 1111), as its clients and sdutil speak it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "http/listener.h"
#include "http/stream_pump.h"
#include "registration.h"

namespace flynn::discovery {

/// No authentication, as in the original: whoever reaches the port may register. Thread: handle [any]; the rest
/// [control]. Borrows registration and registry.
class Wire {
 public:
  Wire(Registration& registration, Registry& registry);

  /// `listening` is ours from here; `url`: where clients find us. Its threads begin; accepts from activate() on.
  Result<void> prepare(UniqueFd listening, std::string url);
  void activate() { listener_.resume(); }
  void quiesce() { listener_.quiesce(); }
  void stop();

  http::HttpResponse handle(const http::HttpRequest& request);

 private:
  using Segments = std::vector<std::string>;
  http::HttpResponse route(const http::HttpRequest& request);
  http::HttpResponse service(const http::HttpRequest& request, const std::string& name);
  http::HttpResponse instances(const http::HttpRequest& request, const std::string& name);
  http::HttpResponse instance(const http::HttpRequest& request, const std::string& name, const std::string& id);
  http::HttpResponse leader(const http::HttpRequest& request, const std::string& name);
  http::HttpResponse meta(const http::HttpRequest& request, const std::string& name);
  http::HttpResponse raft(const http::HttpRequest& request);
  http::HttpResponse watch(const std::string& name, std::string_view kinds);
  Result<void> heartbeat(const NewInstance& instance);

  Registration& registration_;
  Registry& registry_;
  std::string url_;
  std::mutex mutex_;
  std::map<std::string, std::pair<std::string, std::string>> leases_;  // key -> what was registered, lease
  http::StreamPump pump_;
  http::HttpListener listener_;
};

/// "hex MD5 of PROTO-ADDR": what Flynn's clients call an instance.
std::string instance_id(const std::string& proto, const std::string& addr);

}  // namespace flynn::discovery
