#include "service_owner.h"

#include <algorithm>
#include <array>

namespace flynn::controller {
namespace {

constexpr std::array<std::string_view, 3> kPlatform = {"controller", "gitreceive", "images"};

}  // namespace

bool is_platform_service(std::string_view service) {
  return std::find(kPlatform.begin(), kPlatform.end(), service) != kPlatform.end();
}

Outcome<bool> owns_service(Context& context, const std::string& app_name, const std::string& service) {
  if (is_platform_service(service)) return false;
  if (service != app_name && !service.starts_with(app_name + "-")) return false;
  // Only longer names can be a better owner: "shop-admin-web" is shop-admin's, not shop's.
  for (std::size_t cut = service.size(); cut != std::string::npos && cut > app_name.size();
       cut = service.rfind('-', cut - 1)) {
    auto other = context.store.get(app_name_key(service.substr(0, cut)));
    if (!other) return other.error();
    if (*other) return false;
  }
  return true;
}

std::vector<std::string> services_of(const json::object& processes) {
  std::vector<std::string> out;
  const auto add = [&](std::string name) {
    if (!name.empty()) out.push_back(std::move(name));
  };
  for (const auto& entry : processes) {
    if (!entry.value().is_object()) continue;
    const json::object& process = entry.value().get_object();
    add(text_of(process, "service"));
    for (const json::value& port : array_of(process, "ports")) {
      if (port.is_object()) add(text_of(object_of(port.get_object(), "service"), "name"));
    }
  }
  return out;
}

}  // namespace flynn::controller
