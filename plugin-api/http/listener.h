/// The HTTP side: accepts from the lent socket, parses with Poco, answers through one function.
///
/// One thread accepts and watches idle connections, `workers` threads serve requests, so that an idle client costs no
/// thread, and nor does a refused one whose input is dropped for a moment before the close. A response that carries a
/// stream moves its connection to the StreamPump. Nothing of Poco's process-wide objects (default thread pool, error
/// handler, SSL manager) is touched: the image must be able to go away.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "message.h"

namespace flynn::http {

class StreamPump;

struct ListenerOptions {
  std::string name = "http";  // at most 7 characters, of its threads "NAME-http-N" and "NAME-accept"
  int workers = 12;
  std::size_t connections_max = 1024;
  std::size_t request_bytes_max = 16 * 1024 * 1024;  // of a body without a sink
  /// Asked when the head has come and before `100 Continue`. An answer refuses the request, whose body is then not
  /// read; else it may set the request's sink. Thread: a worker's; may be empty.
  std::function<std::optional<HttpResponse>(HttpRequest&)> before_body;
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds request_timeout{20'000};  // of a single receive or send
  /// What a worker waits in all for a request's head and body. A body with a sink has a second more for each
  /// `sink_rate_min` bytes that came.
  std::chrono::milliseconds total_timeout{60'000};
  std::int64_t sink_rate_min = 64 * 1024;  // bytes a second; 0: a sink gets no more time than memory
};

/// Thread: [control].
class HttpListener {
 public:
  using Handle = std::function<HttpResponse(HttpRequest&)>;

  HttpListener(ListenerOptions options, Handle handle, StreamPump& pump);
  ~HttpListener();

  /// Begins to accept from `listening`. Empty, or why it could not.
  std::string start(UniqueFd listening);
  /// As start(), but accepts only from resume() on: what takes time is done before it matters.
  std::string prepare(UniqueFd listening);
  /// Accepts no more; open connections are served, each answer with `Connection: close`.
  void quiesce();
  void resume();
  /// Waits until no connection is left; false when the deadline came first.
  bool drain(std::chrono::steady_clock::time_point deadline);
  /// Closes every connection and joins every thread.
  void stop();
  std::size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flynn::http
