/// Lists that can be watched (/formations, /sinks, /volumes): what is there, one empty object, then each item that
/// changes, as server-sent events.
///
/// An item that changes while the list is read may come twice, never not at all. Thread: [any].
#pragma once

#include <functional>
#include <string_view>

#include "context.h"
#include "flynn/sdk/store.h"

namespace flynn::controller {

/// By its Accept header, and over HTTP.
bool wants_stream(const HttpRequest& request);
/// `read` answers what is there; with ?since=TIME only what was updated at that time or later is sent.
Outcome<HttpResponse> list_and_watch(Context& context, const HttpRequest& request, std::string_view list,
                                     const std::function<Outcome<json::array>()>& read);

/// To those who watch `list`. Items of one list come from one thread.
void publish_item(Context& context, std::string_view list, const json::object& item);
/// A new event: to the streams of events, and to the lists whose item it carries.
void publish_event(Context& context, const StoreEvent& event);
/// A formation was put or deleted.
void publish_formation(Context& context, const StoreEvent& event);

}  // namespace flynn::controller
