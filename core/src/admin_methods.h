// What the admin socket offers: each method by name.
#pragma once

#include <functional>
#include <string>

#include "node.h"

namespace flynn::core {

/// Sends a progress line to the client. May be called from the method's thread only.
using AdminProgress = std::function<void(const json::object&)>;

/// Who asks. Borrowed for the call.
struct AdminClient {
  AdminProgress progress;
  std::string who = "operator";
  int fd = -1;       ///< hangs up when the client leaves; -1: it can't
  int stop_fd = -1;  ///< readable when the server stops; -1: it does not

  bool has_left() const;
};

/// Thread: [any]. Borrows the node; `shut_down` is called by the method of that name.
class AdminMethods {
 public:
  AdminMethods(Node& node, std::function<void()> shut_down) : node_(node), shut_down_(std::move(shut_down)) {}
  Result<json::object> run(const std::string& method, const json::object& params, const AdminClient& client);

 private:
  Result<json::object> inspect(const json::object& params);
  Result<json::object> swap(const json::object& params, bool back, const AdminClient& client);
  Result<json::object> plan(const json::object& params);
  Result<json::object> watch(const json::object& params, const AdminClient& client);
  Result<json::object> configure(const json::object& params, const AdminClient& client);
  Result<json::object> start(const json::object& params);
  Result<json::object> audit(const json::object& params);
  Result<json::object> call(const json::object& params);

  Node& node_;
  std::function<void()> shut_down_;
};

}  // namespace flynn::core
