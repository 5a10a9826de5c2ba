#include "list_stream.h"

#include "domain_migration.h"

namespace flynn::controller {

bool wants_stream(const HttpRequest& request) {
  return request.streams && request.accept.find("text/event-stream") != std::string::npos;
}

Outcome<HttpResponse> list_and_watch(Context& context, const HttpRequest& request, std::string_view list,
                                     const std::function<Outcome<json::array>()>& read) {
  std::int64_t since = 0;
  if (const std::string* text = request.query_value("since"); text != nullptr && !text->empty()) {
    auto at = parse_time(*text);
    if (!at) return validation("since", "is no time; write 2026-01-31T12:00:00Z");
    since = *at;
  }
  // Subscribed before the list is read: nothing falls between the two.
  EventFilter filter;
  filter.object_types = {std::string(list)};
  auto subscription = context.lists.subscribe(std::move(filter), 0);
  auto items = read();
  if (!items) return items.error();
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  std::string& head = response.stream->head;
  head = stream_head(kSseType);
  for (const json::value& item : *items) {
    auto updated = parse_time(text_of(item.get_object(), "updated_at"));
    if (!updated || *updated >= since) head += sse_data(json::serialize(item));
  }
  head += sse_data("{}");
  response.stream->feed = std::move(subscription);
  response.stream->keep_alive = true;
  return response;
}

void publish_item(Context& context, std::string_view list, const json::object& item) {
  // Not the revision: a transaction may change several formations.
  context.lists.publish_as(++context.list_items, {{"object_type", list}}, item);
}

void publish_event(Context& context, const StoreEvent& event) {
  if (event.kind != EventKind::put || !event.kv.value.is_object()) return;
  const json::object& document = event.kv.value.get_object();
  context.hub.publish(document);
  const std::string type = text_of(document, "object_type");
  // Perhaps of another instance, that is being replaced and serves its last connections: to be done it is ours.
  const auto data = object_of(document, "data");
  if ((type == "deployment" && text_of(data, "status") == "pending") ||
      (type == "scale_request" && text_of(data, "state") == "pending"))
    context.kick();
  if (type == "domain_migration")
    context.later("go on with the migration of the domain", [&context] { resume_domain_migration(context); });
  const bool sink = type == "sink" || type == "sink_deletion";
  if (sink || type == "volume") publish_item(context, sink ? "sinks" : "volumes", data);
}

}  // namespace flynn::controller
