// HttpExchange: one HTTP/1.1 request and its answer over loopback: what a scenario asks a plugin's socket, and what a
// stand-in for a backend reads and says.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::authoring {

struct HttpMessage {
  std::string first_line;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// Whether a message without a length ends with its connection (an answer) or has no body (a request), or there is none
/// whatever its head says (the answer to HEAD).
enum class BodyEnd { at_close, at_head, no_body };

/// Reads one message, of 4 MiB at most; bodies by length, in chunks or as `end` says. invalid_argument: it is none;
/// deadline_exceeded, cancelled: it did not come whole. Thread: the caller's, which waits.
Result<HttpMessage> read_http(int fd, BodyEnd end, Deadline deadline);

struct HttpRequestText {
  int port = 0;             // on 127.0.0.1
  std::string method_path;  // "GET /ping"
  std::map<std::string, std::string> headers;
  std::string body;
};

/// The answer as a document: {"status", "headers": {lower case: text}, "text", "json": the body, if it is JSON}.
/// unavailable: nobody listens, or it broke off; else as read_http.
Result<json::object> http_answer(const HttpRequestText& request, Deadline deadline);

/// For the header Authorization.
std::string basic_credentials(const std::string& password);

}  // namespace flynn::authoring
