// Prison: a node whose plugin tries, in a cage, what it is asked to try.
#pragma once

#include <cerrno>
#include <functional>
#include <string>

#include "running_host.h"
#include "zoo_node.h"

namespace flynn::core {

inline constexpr const char* kPrisoner = "test.prisoner/1";

// A prisoner, and its view of the world.
class Prison {
 public:
  explicit Prison(const char* animal = "prisoner", const std::function<void(NodeConfig&)>& change = {})
      : zoo({{"cage", animal}}, [&](NodeConfig& config) {
          in_cages(config);
          config.core.lifecycle = config.core.healthy = std::chrono::seconds(5);
          if (change) change(config);
        }) {}
  json::object ask(const std::string& method, const json::object& body = {}) {
    auto reply = zoo.call(method, kPrisoner, body);
    return reply ? reply->body
                 : json::object{{"code", code_name(reply.error().code)}, {"message", reply.error().message}};
  }
  /// The errno that it got, 0 for success.
  int attempt(const std::string& what, const json::object& more = {}) {
    json::object body = more;
    body["what"] = what;
    return static_cast<int>(int_or(ask("Try", body), "errno", -1));
  }
  /// One of the answers of a wall: it is not there, it is closed, nothing there can be written.
  bool refused(const std::string& what, const std::string& path) {
    const int failure = attempt(what, {{"path", path}});
    return failure == ENOENT || failure == EACCES || failure == EROFS;
  }
  pid_t process() { return static_cast<pid_t>(int_or(ask("Facts"), "pid", -1)); }
  /// Until another process than `before` answers.
  bool is_back(pid_t before) {
    return RunningHost::wait_until([&] {
      const auto now = process();
      return now > 0 && now != before;
    });
  }
  ZooNode zoo;
};

}  // namespace flynn::core
