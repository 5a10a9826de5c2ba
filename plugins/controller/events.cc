/// GET /events: lists, and streams with or without what was before.
#include <algorithm>
#include <charconv>
#include <functional>

#include "context.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kPage = 500;
/// A backlog is sent from memory; a longer one is a list to page through.
constexpr std::size_t kBacklogBytesMax = 64 << 20;
constexpr const char* kBacklogTooLong = "too many past events; narrow object_types or object_id";

std::int64_t number(const std::string* text, std::int64_t fallback) {
  std::int64_t value = fallback;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

Outcome<EventFilter> filter_of(Context& context, const HttpRequest& request) {
  EventFilter filter;
  if (const std::string* app = request.query_value("app_id"); app != nullptr && !app->empty()) {
    // Resolved once: the stream must outlive the app's deletion, which is what it often waits for.
    auto found = find_app(context, *app);
    if (!found) return found.error();
    filter.app_id = text_of(found->value, "id");
  }
  if (const std::string* types = request.query_value("object_types")) filter.object_types = split_list(*types);
  if (const std::string* id = request.query_value("object_id")) filter.object_id = *id;
  return filter;
}

/// Those of the index, read. False until the index is ready: then they must be looked for among all.
Outcome<bool> read_indexed(Context& context, const EventFilter& filter, EventIndex::Span span, std::int64_t count,
                           bool newest_first, const std::function<bool(const json::object&)>& take) {
  if (filter.passes_all()) return false;
  if (!context.events.ready()) return false;
  if (Verdict bad = context.events.catch_up(context.store, context.stopping)) return *bad;
  const auto ids = context.events.find(filter, span, count, newest_first);
  for (std::size_t begin = 0; begin < ids.size(); begin += kPage) {
    std::vector<std::string> keys;
    for (std::size_t i = begin; i < std::min(ids.size(), begin + kPage); ++i) keys.push_back(Store::event_key(ids[i]));
    auto page = context.store.get_many(keys);
    if (!page) return page.error();
    for (const auto& kv : *page) {
      if (kv && filter.matches(kv->value) && !take(kv->value)) return true;
    }
  }
  return true;
}

Outcome<HttpResponse> list_events(Context& context, const HttpRequest& request, const EventFilter& filter) {
  std::int64_t count = number(request.query_value("count"), -1);
  std::int64_t before = number(request.query_value("before_id"), -1);
  std::int64_t since = number(request.query_value("since_id"), 0);
  json::array found;
  auto indexed = read_indexed(context, filter, {std::max<std::int64_t>(since, 0), before > 0 ? before : -1}, count,
                              true, [&](const json::object& event) {
                                found.push_back(public_form(event));
                                return true;
                              });
  if (!indexed) return indexed.error();
  if (*indexed) return json_answer(found);
  std::string from = since > 0 ? Store::event_key(since + 1) : "events/";
  std::string to = before > 0 ? Store::event_key(before) : "events0";
  json::array out;
  while (count < 0 || static_cast<std::int64_t>(out.size()) < count) {
    const std::int64_t missing = count < 0 ? kPage : count - static_cast<std::int64_t>(out.size());
    const std::int64_t limit = filter.passes_all() ? std::min(kPage, missing) : kPage;
    auto page = context.store.slice(from, to, limit, true);
    if (!page) return page.error();
    for (const Kv& kv : *page) {
      if (!filter.matches(kv.value)) continue;
      if (count >= 0 && static_cast<std::int64_t>(out.size()) >= count) break;
      out.push_back(public_form(kv.value));
    }
    if (page->empty() || static_cast<std::int64_t>(page->size()) < limit) break;
    to = page->back().key;
  }
  return json_answer(out);
}

/// Matching events after `after`, oldest first, up to and including `last`.
Outcome<std::string> backlog(Context& context, const EventFilter& filter, std::int64_t after, std::int64_t last) {
  std::string out;
  auto indexed = read_indexed(context, filter, {after, last + 1}, -1, false, [&](const json::object& event) {
    out += sse_data(json::serialize(public_form(event)));
    return out.size() <= kBacklogBytesMax;
  });
  if (!indexed) return indexed.error();
  if (out.size() > kBacklogBytesMax) return validation("", kBacklogTooLong);
  if (*indexed) return out;
  std::string from = Store::event_key(after + 1);
  std::string to = Store::event_key(last + 1);
  while (from < to) {
    auto page = context.store.slice(from, to, kPage, false);
    if (!page) return page.error();
    for (const Kv& kv : *page) {
      if (filter.matches(kv.value)) out += sse_data(json::serialize(public_form(kv.value)));
    }
    if (out.size() > kBacklogBytesMax) return validation("", kBacklogTooLong);
    if (static_cast<std::int64_t>(page->size()) < kPage) break;
    from = page->back().key + "\x01";
  }
  return out;
}

Outcome<HttpResponse> stream_events(Context& context, const HttpRequest& request, const EventFilter& filter) {
  if (!request.streams)
    return ApiError{501, "unimplemented", "event streams need HTTP; ask for application/json", nullptr, false};
  std::int64_t after = number(&request.last_event_id, 0);
  bool past = request.query_flag("past") || after > 0;
  // Subscribed before the past is read: nothing falls between the two, and what is in both is skipped by its id.
  auto subscription = context.hub.subscribe(filter, 0);
  auto last = context.store.last_event_id();
  if (!last) return last.error();
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  response.stream->head = stream_head("text/event-stream; charset=utf-8");
  if (past && *last > after) {
    auto before = backlog(context, filter, after, *last);
    if (!before) return before.error();
    response.stream->head += *before;
  }
  subscription->skip_until(std::max(*last, after));
  response.stream->feed = std::move(subscription);
  response.stream->keep_alive = true;
  return response;
}

Outcome<HttpResponse> get_events(Context& context, const HttpRequest& request, const Params&) {
  auto filter = filter_of(context, request);
  if (!filter) return filter.error();
  if (request.accept == "application/json" || (!request.streams && request.accept.empty()))
    return list_events(context, request, *filter);
  return stream_events(context, request, *filter);
}

Outcome<HttpResponse> get_event(Context& context, const HttpRequest&, const Params& params) {
  std::int64_t id = number(&params[0], 0);
  if (id <= 0) return not_found("event " + params[0]);
  auto event = context.store.get(Store::event_key(id));
  if (!event) return event.error();
  if (!*event) return not_found("event " + params[0]);
  return json_answer(public_form((*event)->value));
}

}  // namespace

void add_event_routes(RouterTable& table) {
  table.add("GET", "/events", get_events);
  table.add("GET", "/events/:id", get_event);
}

}  // namespace flynn::controller
