/// One page of a list: ?count=N and ?before=ID, the last one of the page before. Without them a list is whole, as the
/// original's clients want it.
#pragma once

#include "context.h"

namespace flynn::controller {

inline constexpr std::int64_t kPageMax = 1000;

struct Page {
  std::int64_t count = -1;  // negative: all
  std::string before;
};

Outcome<Page> page_of(const HttpRequest& request);

/// The objects below `prefix`, newest first. A page reads the keys of all and the values of its own.
Outcome<std::vector<Kv>> newest_first(Context& context, const std::string& prefix, const Page& page);
/// As newest_first, as the wire shows them.
Outcome<HttpResponse> answer_page(Context& context, const HttpRequest& request, const std::string& prefix);

}  // namespace flynn::controller
