/// Reads the body of a request off its connection, and knows whether all of it came.
///
/// Poco's own streams end alike for a body that is whole, broken off, malformed or late.
#pragma once

#include <Poco/Net/HTTPRequest.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "http_session.h"

namespace flynn::http {

/// Where the body ends, as the head says it.
struct BodyFrame {
  bool chunked = false;
  std::int64_t length = 0;  // when it is not chunked; 0 when the head says nothing
  bool empty() const { return !chunked && length == 0; }
};

/// Nothing when the head can be read in two ways, which someone between the client and us may have done.
std::optional<BodyFrame> frame_of(const Poco::Net::HTTPRequest& head);

enum class BodyEnd {
  whole,
  too_big,   // more than `bytes_max`
  unwanted,  // the sink wants no more
  broken,    // malformed, or the client went away
  late,
};

/// Into `to.sink`, else into `to.body` (at most `bytes_max` bytes). Unless `whole`, the connection is of no more use:
/// nobody knows where the next request would begin.
BodyEnd read_body(HttpSession& from, const BodyFrame& frame, std::size_t bytes_max, HttpRequest& to);

}  // namespace flynn::http
