/// Whose a service name is: the app's whose name it is or begins with ("shop", "shop-web"); of several the longest.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Names of services that the platform's own plugins register: an app's job there would get their requests.
bool is_platform_service(std::string_view service);
/// True when `service` is the app's of that name, and of no app with a longer name.
Outcome<bool> owns_service(Context& context, const std::string& app_name, const std::string& service);
/// The services that the process types of a release register.
std::vector<std::string> services_of(const json::object& processes);

}  // namespace flynn::controller
