// The status line of a backend's answer, and how its body ends.
#include "http/chars.h"
#include "http/head.h"

namespace flynn::router {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

ParseResult parse_status_line(std::string_view line, ResponseHead& head) {
  if (line.starts_with("HTTP/1.1 "))
    head.version_minor = 1;
  else if (line.starts_with("HTTP/1.0 "))
    head.version_minor = 0;
  else
    return ParseResult::rejected(502, "a malformed status line");
  const auto rest = line.substr(9);
  if (rest.size() < 3 || !digit(rest[0]) || !digit(rest[1]) || !digit(rest[2]) || (rest.size() > 3 && rest[3] != ' '))
    return ParseResult::rejected(502, "a malformed status line");
  head.status = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
  if (head.status < 100 || head.status > 599) return ParseResult::rejected(502, "an impossible status");
  head.reason = rest.size() > 4 ? rest.substr(4) : std::string_view{};
  if (!all_chars(head.reason, kValueChar)) return ParseResult::rejected(502, "a control byte in the status line");
  return ParseResult::complete();
}

void reset(ResponseHead& head) {
  head.count = 0;
  head.has_length = head.chunked = false;
  head.connection_close = head.connection_keep_alive = head.connection_upgrade = head.connection_names_others = false;
  head.upgrade = {};
  head.content_length = 0;
}

}  // namespace

ParseResult parse_response_head(std::string_view bytes, ResponseHead& head) {
  reset(head);
  std::string_view line;
  auto result = detail::take_line(bytes, 0, line);
  if (result.state == ParseState::kComplete) result = parse_status_line(line, head);
  if (result.state == ParseState::kComplete) result = detail::parse_fields(bytes, line.size() + 2, head);
  if (result.state == ParseState::kIncomplete && bytes.size() >= kHeadBytesMax)
    return ParseResult::rejected(502, "a head of more than 64 KiB");
  if (result.state == ParseState::kRejected) result.status = 502;
  if (result.state != ParseState::kComplete) return result;
  head.keep_alive = !head.connection_close && (head.version_minor == 1 || head.connection_keep_alive);
  return result;
}

BodyFraming response_framing(const ResponseHead& head, Method request_method) {
  using Kind = BodyFraming::Kind;
  if (head.status < 200 || head.status == 204 || head.status == 304 || request_method == Method::kHead)
    return {Kind::kNone, 0};
  if (head.chunked) return {Kind::kChunked, 0};
  if (!head.has_length) return {Kind::kUntilClose, 0};
  if (head.content_length == 0) return {Kind::kNone, 0};
  return {Kind::kLength, head.content_length};
}

}  // namespace flynn::router
