/// GET /events as a stream of the controller's events.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "http.h"
#include "sse.h"

namespace flynn::cli {

/// Opened before the request whose effect it reports, so that nothing is missed. Reopens a stream that ends (a swap of
/// the controller looks like that) after the last event seen, for up to 20 s.
class EventStream {
 public:
  /// `query`: "app_id=x&object_types=y".
  static Result<EventStream> open(ControllerClient& client, std::string query);

  /// The next event. Failure::kTimeout at the deadline.
  Result<boost::json::object> next(const Deadline& deadline);

 private:
  EventStream(ControllerClient& client, std::string query) : client_(&client), query_(std::move(query)) {}
  Status connect();
  Status reconnect(const Deadline& deadline);

  ControllerClient* client_;
  std::string query_;
  std::unique_ptr<LineStream> lines_;
  SseReader reader_;
  std::int64_t last_id_ = 0;
};

}  // namespace flynn::cli
