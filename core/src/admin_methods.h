// What the admin socket offers: each method by name.
#pragma once

#include <functional>
#include <string>

#include "node.h"

namespace flynn::core {

/// Sends a progress line to the client. May be called from the method's thread only.
using AdminProgress = std::function<void(const json::object&)>;

/// Thread: [any]. Borrows the node; `shut_down` is called by the method of that name.
class AdminMethods {
 public:
  AdminMethods(Node& node, std::function<void()> shut_down) : node_(node), shut_down_(std::move(shut_down)) {}
  Result<json::object> run(const std::string& method, const json::object& params, const AdminProgress& progress);

 private:
  Result<json::object> inspect(const json::object& params);
  Result<json::object> swap(const json::object& params, bool back, const AdminProgress& progress);
  Result<json::object> configure(const json::object& params);
  Result<json::object> start(const json::object& params);
  Result<json::object> audit(const json::object& params);
  Result<json::object> call(const json::object& params);

  Node& node_;
  std::function<void()> shut_down_;
};

}  // namespace flynn::core
