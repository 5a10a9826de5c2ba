#include "event_filter.h"

#include <algorithm>

#include "document.h"

namespace flynn::controller {

bool EventFilter::matches(const json::object& event) const {
  if (!app_id.empty() && text_of(event, "app") != app_id) return false;
  if (!object_id.empty() && text_of(event, "object_id") != object_id) return false;
  if (object_types.empty()) return true;
  return std::find(object_types.begin(), object_types.end(), text_of(event, "object_type")) != object_types.end();
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (!item.empty()) out.emplace_back(item);
  }
  return out;
}

}  // namespace flynn::controller
