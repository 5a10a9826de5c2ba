#include "page.h"

#include <algorithm>
#include <charconv>

namespace flynn::controller {

Outcome<Page> page_of(const HttpRequest& request) {
  Page page;
  if (const std::string* text = request.query_value("count"); text != nullptr && !text->empty()) {
    auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), page.count);
    if (failed != std::errc() || end != text->data() + text->size() || page.count < 0 || page.count > kPageMax)
      return validation("count", "must be 0 to 1000");
  }
  if (const std::string* before = request.query_value("before")) page.before = *before;
  return page;
}

Outcome<std::vector<Kv>> newest_first(Context& context, const std::string& prefix, const Page& page) {
  if (page.count < 0 && page.before.empty()) return context.store.newest_first(prefix);
  auto keys = context.store.keys_newest_first(prefix);
  if (!keys) return keys.error();
  auto from = keys->begin();
  if (!page.before.empty()) {
    const std::string last = prefix + canonical_uuid(page.before).value_or(page.before);
    from = std::find(keys->begin(), keys->end(), last);
    if (from == keys->end()) return validation("before", "names nothing of this list");
    ++from;
  }
  const auto left = keys->end() - from;
  const auto to = page.count < 0 ? keys->end() : from + std::min<std::ptrdiff_t>(left, page.count);
  auto found = context.store.get_many({from, to});
  if (!found) return found.error();
  std::vector<Kv> out;
  for (auto& kv : *found) {
    if (kv) out.push_back(std::move(*kv));  // else gone since its key was read
  }
  return out;
}

Outcome<HttpResponse> answer_page(Context& context, const HttpRequest& request, const std::string& prefix) {
  auto page = page_of(request);
  if (!page) return page.error();
  auto list = newest_first(context, prefix, *page);
  if (!list) return list.error();
  json::array out;
  for (const Kv& kv : *list) out.push_back(public_form(kv.value));
  return json_answer(out);
}

}  // namespace flynn::controller
