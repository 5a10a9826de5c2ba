// A plain HTTP/1.1 client for tests: one request a connection, or a stream of server-sent events.
#pragma once

#include <memory>
#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::wires {

struct Answer {
  int status = -1;  // -1: nobody answered
  std::string head, body;
  json::value document() const;  // null when the body is not JSON
};

/// To 127.0.0.1:port, 10 s at most.
Answer ask(int port, const std::string& method, const std::string& path, const json::value& body = nullptr,
           const std::string& accept = "application/json");

/// An open stream of events.
class EventStream {
 public:
  EventStream(int port, const std::string& path);
  /// Status of the answer's head.
  int status() const { return status_; }
  /// The next event's data; empty object when none comes within 10 s.
  json::object next();

 private:
  std::string read_line();
  UniqueFd fd_;
  std::string buffer_;
  int status_ = -1;
};

}  // namespace flynn::wires
