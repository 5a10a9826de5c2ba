#include "router_table.h"

namespace flynn::controller {

void RouterTable::add(std::string method, const std::string& pattern, Handler handler) {
  HttpRequest parsed;
  parse_target(pattern, parsed);
  entries_.push_back({std::move(method), std::move(parsed.segments), handler});
}

Handler RouterTable::find(const HttpRequest& request, Params& params) const {
  for (const Entry& entry : entries_) {
    if (entry.method != request.method || entry.segments.size() != request.segments.size()) continue;
    params.clear();
    bool fits = true;
    for (std::size_t i = 0; fits && i < entry.segments.size(); ++i) {
      if (entry.segments[i].starts_with(':')) {
        params.push_back(request.segments[i]);
      } else {
        fits = entry.segments[i] == request.segments[i];
      }
    }
    if (fits) return entry.handler;
  }
  return nullptr;
}

}  // namespace flynn::controller
