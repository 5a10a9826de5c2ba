// The other components of a node in memory, as far as the controller calls them, for tests.
#pragma once

#include <sys/socket.h>

#include <map>
#include <mutex>
#include <optional>

#include "document.h"
#include "node_door_test.h"

namespace flynn::controller {

/// The store is the real one; host, scheduler, logs and a database answer as their contracts say, for jobs and volumes
/// that the test puts there. Thread: [any].
class CompanionsDoor : public NodeDoor {
 public:
  using NodeDoor::call;

  /// As the host does when a job has begun or ended.
  void put_job_status(const json::object& status) {
    const std::string id(status.at("id").as_string());
    {
      const std::lock_guard lock(mutex_);
      statuses_[id] = status;
    }
    const json::object put{{"put", {{"key", "jobs/status/host0/" + id}, {"value", status}}}};
    EXPECT_TRUE(
        call("flynn.store/1", "Txn", {{"compare", json::array{}}, {"then", {put}}, {"else", json::array{}}}).ok());
  }
  void add_volume(const std::string& app_id, const std::string& name) {
    const std::lock_guard lock(mutex_);
    volumes_.push_back(json::object{
        {"id", app_id + "." + name}, {"app_id", app_id}, {"path", "/volumes/" + app_id + "/" + name}, {"bytes", 4096}});
  }

  /// From now on there is a router. Ports of TCP routes: null, it serves none; else why those of `refused` can't be
  /// had.
  void add_router(std::optional<std::map<std::int64_t, std::string>> refused) {
    const std::lock_guard lock(mutex_);
    router_ = true;
    refused_ports_ = std::move(refused);
  }

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>& fds) override {
    if (interface == "flynn.host/1") return host(method, body);
    if (interface == "flynn.scheduler/1") return scheduler(method, body);
    if (interface == "flynn.logs/1") return logs(method, body);
    if (interface == "flynn.database/1") return database(method);
    if (interface == "flynn.router/1") return router(method);
    return NodeDoor::call(interface, method, body, deadline, fds);
  }

 private:
  Result<Reply> host(std::string_view method, const json::object& body) {
    const std::lock_guard lock(mutex_);
    if (method == "Volumes") return Reply{json::object{{"volumes", volumes_}}};
    if (method == "VolumeDestroy") {
      auto* kept = volumes_.begin();
      for (; kept != volumes_.end() && kept->as_object().at("id") != body.at("id"); ++kept) continue;
      if (kept == volumes_.end()) return Error{Code::not_found, "no such volume"};
      volumes_.erase(kept);
      return Reply{};
    }
    if (method != "Attach" && method != "Exec") return Error{Code::unimplemented, "no such method"};
    auto stream = make_stream();  // of a process that has ended already
    if (!stream) return stream.error();
    return Reply{json::object{}, std::move(stream->second)};
  }
  Result<Reply> scheduler(std::string_view method, const json::object& body) {
    if (method == "Run") return Reply{json::object{{"job_id", new_uuid()}, {"host_id", "host0"}}};
    if (method == "Explain") return Reply{json::object{{"lines", {"web of release x: 1 wanted, placed 0: no host"}}}};
    return method == "Stop" ? stop(string_or(body, "job_id")) : Error{Code::unimplemented, "no such method"};
  }
  /// The host that is asked to stop a job does so at once.
  Result<Reply> stop(const std::string& job_id) {
    json::object status;
    {
      const std::lock_guard lock(mutex_);
      const auto found = statuses_.find(job_id);
      if (found == statuses_.end()) return Error{Code::not_found, "no such job"};
      status = found->second;
    }
    status["state"] = "down";
    status["exit_status"] = 143;
    put_job_status(status);
    return Reply{};
  }
  static Result<Reply> logs(std::string_view method, const json::object& body) {
    if (method != "Read") return Reply{};
    auto stream = make_stream();
    if (!stream) return stream.error();
    const json::object message{{"app_id", body.at("app_id")},
                               {"timestamp", 1'700'000'000'123'456},
                               {"source", "app"},
                               {"stream", "stdout"},
                               {"process_type", "web"},
                               {"job_id", new_uuid()},
                               {"host_id", "host0"},
                               {"msg", "listening"}};
    if (auto sent = write_all(stream->first.get(), json::serialize(message) + "\n", Deadline::after(1s)); !sent)
      return sent.error();
    return Reply{json::object{}, std::move(stream->second)};
  }
  static Result<Reply> database(std::string_view method) {
    if (method != "Provision") return Reply{};
    return Reply{json::object{{"id", "db-" + new_uuid()}, {"env", {{"DATABASE_URL", "postgres://db/x"}}}}};
  }

  Result<Reply> router(std::string_view method) {
    const std::lock_guard lock(mutex_);
    if (!router_) return Error{Code::not_found, "nobody provides flynn.router/1"};
    if (method != "Routes") return Error{Code::unimplemented, "no such method"};
    json::object reply{{"routes", json::array{}}};
    if (!refused_ports_) return Reply{std::move(reply)};
    auto stored = call("flynn.store/1", "Range", {{"prefix", "routes/tcp/"}});
    if (!stored) return stored.error();
    json::array tcp;
    for (const json::value& kv : array_of(stored->body, "kvs")) {
      const json::object route = object_of(kv.as_object(), "value");
      const auto refused = refused_ports_->find(number_of(route, "port"));
      const bool open = refused == refused_ports_->end();
      json::object one{{"id", text_of(route, "id")}, {"port", number_of(route, "port")}, {"open", open}};
      if (!open) one["error"] = refused->second;
      tcp.push_back(std::move(one));
    }
    reply["tcp_routes"] = std::move(tcp);
    return Reply{std::move(reply)};
  }

  std::mutex mutex_;
  bool router_ = false;
  std::optional<std::map<std::int64_t, std::string>> refused_ports_{std::map<std::int64_t, std::string>{}};
  json::array volumes_;
  std::map<std::string, json::object> statuses_;  // of jobs
};

}  // namespace flynn::controller
