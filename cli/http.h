/// The controller's HTTP API as a client: JSON calls, streams of lines, and upgrades to the attach protocol.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dial.h"

namespace flynn::cli {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;  // nothing: wait for ever
Deadline deadline_after(std::chrono::milliseconds duration);

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Refusal {
  Error error;
  bool retry = false;  // the other side says that a second try may succeed
};

/// What the user reads for an answer that is not 200; `source` is what was asked ("GET /apps").
Refusal refusal_of(int status, const std::string& content_type, const std::string& body, const std::string& source);

/// A response body that goes on: log lines, events.
class LineStream {
 public:
  LineStream(Dialled dialled, std::istream& body, std::string source);

  /// The next line without its newline; nothing at the end. Failure::kTimeout when the deadline passes first, after
  /// which the stream is of no more use.
  Result<std::optional<std::string>> next_line(const Deadline& deadline);

 private:
  Dialled dialled_;
  std::istream* body_;  // owned by the session
  std::string source_;
};

/// A response body of any size that is no text.
class ByteStream {
 public:
  ByteStream(Dialled dialled, std::istream& body, std::string source);

  /// Up to `size` bytes; 0 at the end, which may be too early: only the content can tell.
  Result<std::size_t> read(char* into, std::size_t size);

 private:
  Dialled dialled_;
  std::istream* body_;  // owned by the session
  std::string source_;
};

/// A connection after its upgrade; `early` are bytes of the peer that were already read.
struct Upgraded {
  Poco::Net::StreamSocket socket;
  std::string early;
};

/// Thread: one at a time. Every call has a connection of its own.
class ControllerClient {
 public:
  explicit ControllerClient(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  /// With true what is no GET is not sent, but fails with Failure::kPlanned.
  void set_read_only(bool read_only) { read_only_ = read_only; }

  /// 200 is the only success. A bare 404 is Failure::kNotFound, 401 kUnauthorized, 409 kConflict. An error that says
  /// `retry` is repeated every 100 ms for up to 10 s.
  Result<boost::json::value> get(const std::string& path);
  Result<boost::json::value> put(const std::string& path, const boost::json::value& body);
  Result<boost::json::value> post(const std::string& path, const boost::json::value& body);
  Result<boost::json::value> remove(const std::string& path);
  /// A body that is not JSON, as it is.
  Result<std::string> get_text(const std::string& path);

  /// Returns when the response's headers have come.
  Result<std::unique_ptr<LineStream>> stream(const std::string& path, const Headers& headers);

  /// As stream, for bytes.
  Result<std::unique_ptr<ByteStream>> download(const std::string& path, const Headers& headers);

  /// POST with `Upgrade: flynn-attach/0`; succeeds on 101 only.
  Result<Upgraded> attach(const std::string& path, const boost::json::value& body);
  /// POST with `Upgrade: protocol` and no body; succeeds on 101 only.
  Result<Upgraded> upgrade(const std::string& path, const std::string& protocol);

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

 private:
  struct Request {
    std::string method;
    std::string path;
    std::string body;
    Headers headers;
  };
  struct Answer {
    Dialled dialled;
    std::istream* body = nullptr;
    int status = 0;
    std::string content_type;
  };
  Result<Answer> send(const Request& request);
  Result<Answer> open_body(const std::string& path, const Headers& headers);
  Result<Upgraded> upgrade_with(const std::string& path, const std::string& body, const std::string& protocol);
  Result<std::string> call(const Request& request);
  Result<boost::json::value> call_json(const std::string& method, const std::string& path, std::string body);

  Endpoint endpoint_;
  bool read_only_ = false;
};

}  // namespace flynn::cli
