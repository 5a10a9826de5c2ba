// The request line, the Host, and what they must agree on.
#include "http/chars.h"
#include "http/head.h"

namespace flynn::router {
namespace {

constexpr std::size_t kMethodBytesMax = 32;
constexpr std::size_t kHostBytesMax = 253 + 6;

Method identify_method(std::string_view name) {
  // Methods are case-sensitive (RFC 9110, 9.1).
  if (name == "GET") return Method::kGet;
  if (name == "HEAD") return Method::kHead;
  if (name == "POST") return Method::kPost;
  if (name == "PUT") return Method::kPut;
  if (name == "DELETE") return Method::kDelete;
  if (name == "OPTIONS") return Method::kOptions;
  if (name == "TRACE") return Method::kTrace;
  if (name == "CONNECT") return Method::kConnect;
  return Method::kOther;
}

bool valid_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port > 0 && port < 65536;
}

bool valid_ipv6_literal(std::string_view text) {
  if (text.size() < 4 || text.front() != '[' || text.back() != ']') return false;
  for (const char c : text.substr(1, text.size() - 2)) {
    const char l = lower(c);
    if (!((l >= '0' && l <= '9') || (l >= 'a' && l <= 'f') || l == ':' || l == '.')) return false;
  }
  return true;
}

// Narrower than RFC 3986's host: what no name system uses (%-escapes, sub-delims, user info) is rejected.
bool split_host(std::string_view host, std::string_view& name) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  const auto colon = host.rfind(':');
  const auto bracket = host.rfind(']');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  name = has_port ? host.substr(0, colon) : host;
  if (has_port && !valid_port(host.substr(colon + 1))) return false;
  if (name.empty()) return false;
  return name.front() == '[' ? valid_ipv6_literal(name) : all_chars(name, kHostChar);
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

ParseResult parse_version(std::string_view version, int& minor) {
  if (version == "HTTP/1.1")
    minor = 1;
  else if (version == "HTTP/1.0")
    minor = 0;
  else if (version.size() == 8 && version.starts_with("HTTP/"))
    return ParseResult::rejected(505, "an HTTP version other than 1.0 and 1.1");
  else
    return ParseResult::rejected(400, "a malformed request line");
  return ParseResult::complete();
}

ParseResult parse_request_line(std::string_view line, RequestHead& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return ParseResult::rejected(400, "a malformed request line");
  head.method_name = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (head.method_name.empty() || head.method_name.size() > kMethodBytesMax || !all_chars(head.method_name, kTokenChar))
    return ParseResult::rejected(400, "a malformed method");
  // A further space, a control byte or a fragment would make the end of the target a matter of opinion.
  if (head.target.empty() || !all_chars(head.target, kTargetChar))
    return ParseResult::rejected(400, "a malformed request target");
  head.method = identify_method(head.method_name);
  return parse_version(line.substr(last + 1), head.version_minor);
}

// Turns an absolute-form target into its origin-form, provided that it names the same host as Host does.
ParseResult check_target(RequestHead& head) {
  if (head.method == Method::kConnect) return ParseResult::rejected(405, "CONNECT, which this router does not serve");
  if (head.target == "*") {
    if (head.method != Method::kOptions) return ParseResult::rejected(400, "a target of * without OPTIONS");
    head.path = head.target;
    return ParseResult::complete();
  }
  if (head.target.front() != '/') {
    constexpr std::string_view scheme = "http://";
    if (head.target.size() <= scheme.size() || !equals_ignoring_case(head.target.substr(0, scheme.size()), scheme))
      return ParseResult::rejected(400, "a malformed request target");
    const auto rest = head.target.substr(scheme.size());
    const auto slash = rest.find_first_of("/?");
    if (!same_ignoring_case(rest.substr(0, slash), head.host))
      return ParseResult::rejected(400, "a request target and a Host that differ");
    if (slash == std::string_view::npos)
      head.target = "/";
    else if (rest[slash] == '?')
      return ParseResult::rejected(400, "an absolute target without a path");
    else
      head.target = rest.substr(slash);
  }
  head.path = head.target.substr(0, head.target.find('?'));
  return ParseResult::complete();
}

ParseResult check_host(RequestHead& head) {
  bool seen = false;
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.fields[i].id != HeaderId::kHost) continue;
    if (seen) return ParseResult::rejected(400, "more than one Host");
    seen = true;
    head.host = head.fields[i].value;
  }
  if (!seen) return ParseResult::rejected(400, "no Host");
  if (!split_host(head.host, head.host_name)) return ParseResult::rejected(400, "a malformed Host");
  return ParseResult::complete();
}

ParseResult check_expect(RequestHead& head) {
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.fields[i].id != HeaderId::kExpect) continue;
    if (!equals_ignoring_case(head.fields[i].value, "100-continue"))
      return ParseResult::rejected(417, "an Expect other than 100-continue");
    head.expect_continue = head.version_minor == 1;
  }
  return ParseResult::complete();
}

void conclude(RequestHead& head) {
  if (head.chunked)
    head.body = {BodyFraming::Kind::kChunked, 0};
  else if (head.has_length && head.content_length > 0)
    head.body = {BodyFraming::Kind::kLength, head.content_length};
  else
    head.body = {};
  if (head.body.kind == BodyFraming::Kind::kNone) head.expect_continue = false;
  head.keep_alive = !head.connection_close && (head.version_minor == 1 || head.connection_keep_alive);
}

void reset(RequestHead& head) {
  // The fields themselves are valid up to `count` only, so they need no clearing: this runs once a request.
  head.count = 0;
  head.has_length = head.chunked = head.expect_continue = false;
  head.connection_close = head.connection_keep_alive = head.connection_upgrade = head.connection_names_others = false;
  head.upgrade = {};
  head.content_length = 0;
}

}  // namespace

ParseResult parse_request_head(std::string_view bytes, RequestHead& head) {
  reset(head);
  const std::size_t start = bytes.starts_with("\r\n") ? 2 : 0;
  std::string_view line;
  auto result = detail::take_line(bytes, start, line);
  if (result.state == ParseState::kIncomplete && bytes.size() >= kHeadBytesMax)
    return ParseResult::rejected(431, "a head of more than 64 KiB");
  if (result.state == ParseState::kComplete) result = parse_request_line(line, head);
  if (result.state == ParseState::kComplete) result = detail::parse_fields(bytes, start + line.size() + 2, head);
  if (result.state == ParseState::kIncomplete && bytes.size() >= kHeadBytesMax)
    return ParseResult::rejected(431, "a head of more than 64 KiB");
  if (result.state == ParseState::kComplete) result = check_host(head);
  if (result.state == ParseState::kComplete) result = check_target(head);
  if (result.state == ParseState::kComplete) result = check_expect(head);
  if (result.state == ParseState::kComplete) conclude(head);
  return result;
}

}  // namespace flynn::router
