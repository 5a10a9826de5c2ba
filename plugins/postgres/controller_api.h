// The few requests that the appliance makes of the controller, through the door.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/host.h"

namespace flynn::postgres {

/// Thread: [any]. Borrows the door.
class ControllerApi {
 public:
  explicit ControllerApi(Door& door) : door_(door) {}

  /// The body of a 200. Other statuses become the code that fits, with the controller's words.
  Result<json::value> request(std::string_view method, std::string_view path, json::value body, Deadline deadline);
  Result<json::object> get(std::string_view path, Deadline deadline);
  Result<json::object> post(std::string_view path, json::object body, Deadline deadline);
  Result<json::object> put(std::string_view path, json::object body, Deadline deadline);

 private:
  Result<json::object> object_of(Result<json::value> answer, std::string_view path);
  Door& door_;
};

}  // namespace flynn::postgres
