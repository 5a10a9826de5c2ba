// The field lines of a head: syntax, and the meaning of those that decide framing and connection.
#include <cstring>

#include "http/chars.h"
#include "http/head.h"

namespace flynn::router {
namespace {

struct KnownHeader {
  std::string_view name;
  HeaderId id;
};

constexpr KnownHeader kKnown[] = {
    {"te", HeaderId::kHopByHop},
    {"host", HeaderId::kHost},
    {"accept", HeaderId::kAccept},
    {"cookie", HeaderId::kCookie},
    {"expect", HeaderId::kExpect},
    {"trailer", HeaderId::kHopByHop},
    {"upgrade", HeaderId::kUpgrade},
    {"connection", HeaderId::kConnection},
    {"keep-alive", HeaderId::kHopByHop},
    {"x-request-id", HeaderId::kRequestId},
    {"content-length", HeaderId::kContentLength},
    {"x-request-start", HeaderId::kRequestStart},
    {"x-forwarded-for", HeaderId::kForwardedFor},
    {"x-forwarded-port", HeaderId::kForwardedPort},
    {"x-forwarded-host", HeaderId::kForwardedHost},
    {"proxy-connection", HeaderId::kHopByHop},
    {"x-forwarded-proto", HeaderId::kForwardedProto},
    {"transfer-encoding", HeaderId::kTransferEncoding},
    {"proxy-authenticate", HeaderId::kHopByHop},
    {"proxy-authorization", HeaderId::kHopByHop},
};

HeaderId identify(std::string_view name) {
  const char first = lower(name.front());
  for (const auto& known : kKnown)
    if (known.name.size() == name.size() && known.name.front() == first && equals_ignoring_case(name, known.name))
      return known.id;
  return HeaderId::kOther;
}

// Only the one spelling of a number that nobody reads differently: no sign, no list, no leading zero, below 2^63.
bool parse_content_length(std::string_view text, std::uint64_t& value) {
  if (text.empty() || text.size() > 18) return false;
  if (text.size() > 1 && text.front() == '0') return false;
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

template <typename Visit>
bool for_each_token(std::string_view list, Visit visit) {
  while (true) {
    const auto comma = list.find(',');
    const auto token = trim_ows(list.substr(0, comma));
    if (!token.empty()) {
      if (!all_chars(token, kTokenChar)) return false;
      visit(token);
    }
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

ParseResult note_connection(std::string_view value, MessageFields& head) {
  const bool valid = for_each_token(value, [&](std::string_view token) {
    if (equals_ignoring_case(token, "close"))
      head.connection_close = true;
    else if (equals_ignoring_case(token, "keep-alive"))
      head.connection_keep_alive = true;
    else if (equals_ignoring_case(token, "upgrade"))
      head.connection_upgrade = true;
    else
      head.connection_names_others = true;
  });
  return valid ? ParseResult::complete() : ParseResult::rejected(400, "a malformed Connection header");
}

ParseResult note_field(const HeaderField& field, MessageFields& head) {
  switch (field.id) {
    case HeaderId::kContentLength:
      if (head.has_length) return ParseResult::rejected(400, "more than one Content-Length");
      if (!parse_content_length(field.value, head.content_length))
        return ParseResult::rejected(400, "a malformed Content-Length");
      head.has_length = true;
      break;
    case HeaderId::kTransferEncoding:
      if (head.chunked) return ParseResult::rejected(400, "more than one Transfer-Encoding");
      if (!equals_ignoring_case(field.value, "chunked"))
        return ParseResult::rejected(501, "a Transfer-Encoding other than chunked");
      head.chunked = true;
      break;
    case HeaderId::kConnection:
      return note_connection(field.value, head);
    case HeaderId::kUpgrade:
      if (!head.upgrade.empty()) return ParseResult::rejected(400, "more than one Upgrade");
      head.upgrade = field.value;
      break;
    default:
      break;
  }
  return ParseResult::complete();
}

ParseResult split_field(std::string_view line, HeaderField& field) {
  if (line.front() == ' ' || line.front() == '\t') return ParseResult::rejected(400, "a folded header line");
  std::size_t colon = 0;
  while (colon < line.size() && is_char(line[colon], kTokenChar)) ++colon;
  if (colon == line.size()) return ParseResult::rejected(400, "a header line without a colon");
  if (line[colon] != ':' || colon == 0) return ParseResult::rejected(400, "a malformed header name");
  const auto value = line.substr(colon + 1);
  if (!all_chars(value, kValueChar)) return ParseResult::rejected(400, "a control byte in a header");
  field.name = line.substr(0, colon);
  field.value = trim_ows(value);
  field.id = identify(field.name);
  return ParseResult::complete();
}

}  // namespace

namespace detail {

ParseResult take_line(std::string_view bytes, std::size_t offset, std::string_view& line) {
  const auto* start = bytes.data() + offset;
  const auto* end = static_cast<const char*>(std::memchr(start, '\n', bytes.size() - offset));
  if (end == nullptr) return ParseResult::incomplete();
  if (end == start || end[-1] != '\r') return ParseResult::rejected(400, "a line that ends without CR");
  line = {start, static_cast<std::size_t>(end - start) - 1};
  return ParseResult::complete();
}

ParseResult parse_fields(std::string_view bytes, std::size_t offset, MessageFields& head) {
  while (true) {
    std::string_view line;
    auto result = take_line(bytes, offset, line);
    if (result.state != ParseState::kComplete) return result;
    offset += line.size() + 2;
    if (offset > kHeadBytesMax) return ParseResult::rejected(431, "a head of more than 64 KiB");
    if (line.empty()) {
      head.head_bytes = offset;
      return check_framing(head);
    }
    if (head.count == kHeaderCountMax) return ParseResult::rejected(431, "more than 100 headers");
    auto& field = head.fields[head.count];
    result = split_field(line, field);
    if (result.state != ParseState::kComplete) return result;
    ++head.count;
    result = note_field(field, head);
    if (result.state != ParseState::kComplete) return result;
  }
}

ParseResult check_framing(const MessageFields& head) {
  if (!head.chunked) return ParseResult::complete();
  if (head.has_length) return ParseResult::rejected(400, "both Content-Length and Transfer-Encoding");
  if (head.version_minor == 0) return ParseResult::rejected(400, "Transfer-Encoding in HTTP/1.0");
  return ParseResult::complete();
}

}  // namespace detail

bool named_by_connection(const MessageFields& head, std::string_view name) {
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.fields[i].id != HeaderId::kConnection) continue;
    bool found = false;
    for_each_token(head.fields[i].value, [&](std::string_view token) {
      if (token.size() != name.size()) return;
      bool same = true;
      for (std::size_t c = 0; c < name.size() && same; ++c) same = lower(token[c]) == lower(name[c]);
      found = found || same;
    });
    if (found) return true;
  }
  return false;
}

ParseResult HeadScanner::scan(std::string_view bytes) {
  // One CRLF before the start line is no end of a head.
  if (line_start_ == 0 && bytes.size() >= 2 && bytes[0] == '\r' && bytes[1] == '\n') line_start_ = scanned_ = 2;
  while (scanned_ < bytes.size()) {
    const auto* newline = static_cast<const char*>(std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_));
    if (newline == nullptr) break;
    const auto at = static_cast<std::size_t>(newline - bytes.data());
    if (at == 0 || bytes[at - 1] != '\r') return ParseResult::rejected(400, "a line that ends without CR");
    const bool empty = at == line_start_ + 1;
    scanned_ = line_start_ = at + 1;
    if (empty) return ParseResult::complete();
  }
  // A CR as the very last byte may be followed by its LF: the newline is looked for, so nothing is missed.
  scanned_ = bytes.size();
  if (scanned_ >= kHeadBytesMax) return ParseResult::rejected(431, "a head of more than 64 KiB");
  return ParseResult::incomplete();
}

}  // namespace flynn::router
