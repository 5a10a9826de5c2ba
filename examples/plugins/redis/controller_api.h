// The few requests that the appliance makes of the controller, through the door.
#pragma once

#include <flynn/sdk/host.h>

#include <string>
#include <string_view>

namespace redis_appliance {

/// The body of a 200; other statuses become the code that fits, with the controller's words. Thread: [any].
flynn::Result<flynn::json::value> ask_controller(flynn::Door& door, std::string_view method, const std::string& path,
                                                 const flynn::json::value& body, flynn::Deadline deadline);

}  // namespace redis_appliance
