#include "events.h"

#include <Poco/Thread.h>

#include <algorithm>

#include "documents.h"

namespace flynn::cli {
namespace {

using std::chrono::steady_clock;

constexpr long kReconnectPauseMs = 100;
constexpr std::chrono::seconds kReconnectFor{20};

}  // namespace

Result<EventStream> EventStream::open(ControllerClient& client, std::string query) {
  EventStream stream(client, std::move(query));
  if (auto connected = stream.connect(); !connected) return connected.error();
  return stream;
}

Status EventStream::connect() {
  auto lines = client_->stream("/events?" + query_,
                               {{"Accept", "text/event-stream"}, {"Last-Event-Id", std::to_string(last_id_)}});
  if (!lines) return lines.error();
  lines_ = std::move(*lines);
  reader_ = {};
  return Done{};
}

Status EventStream::reconnect(const Deadline& deadline) {
  const auto own_limit = steady_clock::now() + kReconnectFor;
  const auto give_up = deadline ? std::min(*deadline, own_limit) : own_limit;
  for (;;) {
    Poco::Thread::sleep(kReconnectPauseMs);  // style: allow, nothing tells when a controller is back
    auto connected = connect();
    if (connected || connected.error().kind != Failure::kRefused || steady_clock::now() >= give_up) return connected;
  }
}

Result<json::object> EventStream::next(const Deadline& deadline) {
  for (;;) {
    const auto line = lines_->next_line(deadline);
    if (!line && line.error().kind != Failure::kRefused) return line.error();
    if (!line || !line->has_value()) {
      if (auto again = reconnect(deadline); !again) return again.error();
      continue;
    }
    const auto event = reader_.push_line(**line);
    if (!event) continue;
    if (event->event == "error") return failure("event stream: " + event->data);
    const auto document = parse_json("event stream", event->data);
    if (!document) return document.error();
    const json::object& object = as_object(*document);
    const std::int64_t id = number_of(object, "id");
    if (id != 0 && id <= last_id_) continue;  // replayed after a reconnect
    last_id_ = std::max(last_id_, id);
    return object;
  }
}

}  // namespace flynn::cli
