/// One request and its answer, free of any HTTP library: the same for a connection and for the door's `Request`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flynn/sdk/unique_fd.h"

namespace flynn::http {

/// Text that comes without a descriptor; StreamPump::wake() tells of it. It is not asked while its client is far
/// behind, so what it holds must have a limit. Thread: take by the pump's.
class Feed {
 public:
  virtual ~Feed() = default;
  /// Appends what has come to `out`; false once the stream must end.
  virtual bool take(std::string& out) = 0;
};

/// Takes a body that memory should not hold, piece by piece. Goes with its request, also when the client breaks off.
/// Thread: the request's.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// False: no more is wanted. The rest is not read, and the handler answers why.
  virtual bool take(std::string_view piece) = 0;
};

struct HttpRequest {
  std::string method;
  std::vector<std::string> segments;  // of the path, decoded
  std::vector<std::pair<std::string, std::string>> query;
  std::string accept, content_type, authorization, upgrade, last_event_id, origin, host;
  std::string body;
  /// As the client announced it; -1 when it did not (chunked).
  std::int64_t content_length = -1;
  /// Set by ListenerOptions::before_body: the body went there, and `body` is empty.
  std::shared_ptr<BodySink> sink;
  /// False through the door, where no stream can follow the answer.
  bool streams = true;
  /// The client's socket, to ask who it is; the connection's, valid while the handler runs. -1 through the door.
  int connection = -1;

  const std::string* query_value(std::string_view name) const;
  bool query_flag(std::string_view name) const;
};

/// Splits "/apps/web%2Fx?follow=true" into segments and query; false when an escape is broken.
bool parse_target(std::string_view target, HttpRequest& request);

/// What takes over the client's connection after the head has been written.
struct StreamStart {
  std::string head;  // written first, as it is
  UniqueFd source;   // what is copied to the client; optional
  /// Turns bytes of the source into bytes for the client; empty: as they are.
  std::function<void(std::string_view chunk, std::string& out)> transform;
  std::function<void(std::string& out)> at_end;
  bool duplex = false;      // the client's bytes go to the source
  std::string from_client;  // those that came before the stream began
  bool keep_alive = false;  // a lone ":" line every 30 s
  std::shared_ptr<Feed> feed;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::unique_ptr<StreamStart> stream;
};

}  // namespace flynn::http
