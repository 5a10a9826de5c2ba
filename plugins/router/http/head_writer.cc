#include "http/head_writer.h"

#include <charconv>

#include "http/chars.h"

namespace flynn::router {
namespace {

// What is added to a head at most: five X-Forwarded/X-Request lines, framing, Connection, a cookie.
constexpr std::size_t kAddedBytesMax = 2048;

class Cursor {
 public:
  explicit Cursor(char* at) : begin_(at), at_(at) {}
  Cursor& put(std::string_view text) {
    if (text.empty()) return *this;
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  Cursor& put_number(std::uint64_t number) {
    at_ = std::to_chars(at_, at_ + 20, number).ptr;
    return *this;
  }
  Cursor& line(std::string_view name, std::string_view value) { return put(name).put(": ").put(value).put("\r\n"); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }
  [[nodiscard]] const char* at() const { return at_; }

 private:
  char* begin_;
  char* at_;
};

std::size_t bound(const MessageFields& head) { return head.head_bytes + 2 * head.count + kAddedBytesMax; }

void put_framing(Cursor& out, BodyFraming framing) {
  if (framing.kind == BodyFraming::Kind::kChunked) out.put("Transfer-Encoding: chunked\r\n");
  if (framing.kind == BodyFraming::Kind::kLength) out.put("Content-Length: ").put_number(framing.length).put("\r\n");
}

// The values of all fields of one id, joined by ", "; followed by `own`.
void put_joined(Cursor& out, const MessageFields& head, HeaderId id, std::string_view name, std::string_view own) {
  out.put(name).put(": ");
  for (std::size_t i = 0; i < head.count; ++i)
    if (head.fields[i].id == id && !head.fields[i].value.empty()) out.put(head.fields[i].value).put(", ");
  out.put(own).put("\r\n");
}

std::string_view single_value(const MessageFields& head, HeaderId id) {
  std::string_view value;
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.fields[i].id != id) continue;
    if (!value.empty()) return {};
    value = head.fields[i].value;
  }
  return value;
}

void put_kept(Cursor& out, const RequestHead& head, const RequestContext& context, HeaderId id, std::string_view name,
              std::string_view own) {
  const auto sent = context.trust_forwarded ? single_value(head, id) : std::string_view{};
  out.line(name, sent.empty() ? own : sent);
}

bool copied_to_backend(const RequestHead& head, const HeaderField& field) {
  switch (field.id) {
    case HeaderId::kOther:
    case HeaderId::kCookie:
    case HeaderId::kAccept:
      return !head.connection_names_others || !named_by_connection(head, field.name);
    case HeaderId::kExpect:
      return head.expect_continue;
    default:
      return false;
  }
}

}  // namespace

bool valid_request_id(std::string_view id) {
  if (id.size() < kRequestIdBytesMin || id.size() > kRequestIdBytesMax) return false;
  for (const char c : id) {
    const char l = lower(c);
    if (!((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || l == '+' || l == '/' || l == '=' || l == '-'))
      return false;
  }
  return true;
}

std::string_view write_request_head(const RequestHead& head, const RequestContext& context, HeadBuffer& buffer) {
  // Forwarded values may be repeated once when they are kept or joined, so they count twice.
  Cursor out(buffer.reset(bound(head) + context.client_ip.size() + head.host.size()));
  out.put(head.method_name).put(" ").put(head.target).put(" HTTP/1.1\r\n").line("Host", head.host);
  for (std::size_t i = 0; i < head.count; ++i)
    if (copied_to_backend(head, head.fields[i])) out.line(head.fields[i].name, head.fields[i].value);

  put_joined(out, head, HeaderId::kForwardedFor, "X-Forwarded-For", context.client_ip);
  put_kept(out, head, context, HeaderId::kForwardedProto, "X-Forwarded-Proto", context.secure ? "https" : "http");
  put_kept(out, head, context, HeaderId::kForwardedPort, "X-Forwarded-Port", context.port);
  put_kept(out, head, context, HeaderId::kForwardedHost, "X-Forwarded-Host", head.host);
  out.put("X-Request-Start: ").put_number(context.now_ms).put("\r\nX-Request-Id: ");
  const auto sent_id = single_value(head, HeaderId::kRequestId);
  const auto id = valid_request_id(sent_id) ? sent_id : context.fresh_id;
  const char* id_at = out.at();
  out.put(id).put("\r\n");

  if (head.wants_upgrade()) out.put("Connection: Upgrade\r\n").line("Upgrade", head.upgrade);
  // A POST without a body says so: some backends would answer 411.
  if (head.has_length && head.content_length == 0) out.put("Content-Length: 0\r\n");
  put_framing(out, head.body);
  out.put("\r\n");
  buffer.set_size(out.size());
  return {id_at, id.size()};
}

void write_response_head(const ResponseHead& head, const ResponseContext& context, HeadBuffer& buffer) {
  Cursor out(buffer.reset(bound(head) + context.set_cookie.size()));
  out.put("HTTP/1.1 ").put_number(static_cast<std::uint64_t>(head.status)).put(" ").put(head.reason).put("\r\n");
  for (std::size_t i = 0; i < head.count; ++i) {
    const auto& field = head.fields[i];
    const bool framing = field.id == HeaderId::kConnection || field.id == HeaderId::kContentLength ||
                         field.id == HeaderId::kTransferEncoding || field.id == HeaderId::kHopByHop ||
                         field.id == HeaderId::kUpgrade;
    if (framing || (head.connection_names_others && named_by_connection(head, field.name))) continue;
    out.line(field.name, field.value);
  }
  if (!context.set_cookie.empty()) out.line("Set-Cookie", context.set_cookie);
  const bool informational = head.status < 200;
  if (context.upgrade) {
    out.put("Connection: Upgrade\r\n").line("Upgrade", head.upgrade);
  } else if (!informational) {
    const bool names_length = context.to_head_request || head.status == 304;
    if (context.framing.kind != BodyFraming::Kind::kNone)
      put_framing(out, context.framing);
    else if (names_length && head.has_length)
      put_framing(out, {BodyFraming::Kind::kLength, head.content_length});
    else if (context.to_head_request && head.chunked)
      put_framing(out, {BodyFraming::Kind::kChunked, 0});
    else if (!names_length && head.status != 204)
      out.put("Content-Length: 0\r\n");
    if (!context.client_keep_alive)
      out.put("Connection: close\r\n");
    else if (context.client_minor == 0)
      out.put("Connection: keep-alive\r\n");
  }
  out.put("\r\n");
  buffer.set_size(out.size());
}

FramedBody frame_body(BodyFraming::Kind kind, std::string_view data, bool done, ChunkSizeRoom& room) {
  if (kind != BodyFraming::Kind::kChunked) return {{}, data, {}};
  if (data.empty()) return {{}, {}, done ? "0\r\n\r\n" : ""};
  const char* end = room.data() + room.size();
  const char* begin = write_chunk_size_before(room.data() + room.size(), data.size());
  return {{begin, static_cast<std::size_t>(end - begin)}, data, done ? "\r\n0\r\n\r\n" : "\r\n"};
}

char* write_chunk_size_before(char* end, std::size_t size) {
  *--end = '\n';
  *--end = '\r';
  do {
    *--end = "0123456789abcdef"[size % 16];
    size /= 16;
  } while (size != 0);
  return end;
}

}  // namespace flynn::router
