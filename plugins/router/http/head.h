// Heads of HTTP/1.1 messages: what they may look like, and what they mean.
//
// The parsers are sans-IO and strict: whatever two readers could understand differently (two lengths, folded lines,
// bare LF, a space before a colon …) is an error with a status, never repaired. A head is parsed in one go from
// contiguous bytes; every view in the result points into those bytes and dies with them. No allocation. Thread: [any];
// the objects belong to their caller.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flynn::router {

constexpr std::size_t kHeadBytesMax = 64 * 1024;
constexpr std::size_t kHeaderCountMax = 100;

enum class HeaderId : std::uint8_t {
  kOther,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kUpgrade,
  kExpect,
  kHopByHop,  // Keep-Alive, Proxy-Connection, Proxy-Authorization, Proxy-Authenticate, TE, Trailer
  kForwardedFor,
  kForwardedProto,
  kForwardedPort,
  kForwardedHost,
  kRequestId,
  kRequestStart,
  kCookie,
  kAccept,
};

struct HeaderField {
  std::string_view name;
  std::string_view value;  // without surrounding white space
  HeaderId id = HeaderId::kOther;
};

enum class Method : std::uint8_t { kOther, kGet, kHead, kPost, kPut, kDelete, kOptions, kTrace, kConnect };

/// How the end of a body is known.
struct BodyFraming {
  enum class Kind : std::uint8_t { kNone, kLength, kChunked, kUntilClose };
  Kind kind = Kind::kNone;
  std::uint64_t length = 0;  // with kLength
};

/// What both kinds of head have in common.
struct MessageFields {
  std::array<HeaderField, kHeaderCountMax> fields;
  std::size_t count = 0;
  std::size_t head_bytes = 0;  // with the empty line
  int version_minor = 1;
  bool has_length = false, chunked = false;
  bool connection_close = false, connection_keep_alive = false, connection_upgrade = false;
  bool connection_names_others = false;  // Connection lists names beyond the three above
  std::uint64_t content_length = 0;
  std::string_view upgrade;  // value of Upgrade, empty if absent
};

struct RequestHead : MessageFields {
  Method method = Method::kOther;
  std::string_view method_name;
  std::string_view target;     // origin-form ("/x?y") or "*"
  std::string_view path;       // the target without its query
  std::string_view host;       // as sent, port included
  std::string_view host_name;  // without port
  bool expect_continue = false;
  bool keep_alive = true;  // what the client wishes
  BodyFraming body;

  [[nodiscard]] bool wants_upgrade() const { return connection_upgrade && !upgrade.empty() && version_minor == 1; }
};

struct ResponseHead : MessageFields {
  int status = 0;
  std::string_view reason;
  bool keep_alive = true;  // may the connection to the backend be used again
};

enum class ParseState : std::uint8_t { kComplete, kIncomplete, kRejected };

struct ParseResult {
  ParseState state = ParseState::kIncomplete;
  int status = 0;           // with kRejected: what to answer
  const char* reason = "";  // with kRejected: static text, for the page and the log

  static ParseResult complete() { return {ParseState::kComplete, 0, ""}; }
  static ParseResult incomplete() { return {ParseState::kIncomplete, 0, ""}; }
  static ParseResult rejected(int status, const char* reason) { return {ParseState::kRejected, status, reason}; }
};

/// Parses one request head at the start of `bytes`. One CRLF before the request line is skipped (RFC 9112, 2.2).
ParseResult parse_request_head(std::string_view bytes, RequestHead& head);

/// Parses one response head. A rejected one is always a 502.
ParseResult parse_response_head(std::string_view bytes, ResponseHead& head);

/// How the body of a response ends; `request_method` matters for HEAD (and CONNECT, which is never sent).
BodyFraming response_framing(const ResponseHead& head, Method request_method);

/// True if `name` is one of the comma separated tokens of any Connection field.
bool named_by_connection(const MessageFields& head, std::string_view name);

/// Looks for the end of a head that came in pieces, without reading any byte twice.
class HeadScanner {
 public:
  /// `bytes` is all that has come so far; only what is new since the last call is read. A bare LF is rejected at once.
  ParseResult scan(std::string_view bytes);
  void reset() { scanned_ = 0, line_start_ = 0; }

 private:
  std::size_t scanned_ = 0;
  std::size_t line_start_ = 0;
};

namespace detail {
/// The lines after the start line, from `offset`. Shared by both parsers.
ParseResult parse_fields(std::string_view bytes, std::size_t offset, MessageFields& head);
/// The line at `offset`, without its CRLF; kIncomplete without one; a bare LF or CR is rejected.
ParseResult take_line(std::string_view bytes, std::size_t offset, std::string_view& line);
/// Transfer-Encoding and Content-Length against each other.
ParseResult check_framing(const MessageFields& head);
}  // namespace detail

}  // namespace flynn::router
