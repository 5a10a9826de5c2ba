// Heads as this router writes them. Nothing is forwarded verbatim: each line is made from what was understood, so a
// reader behind the router can't find a message that the router did not see.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "http/head.h"

namespace flynn::router {

/// Bytes that grow once and are then kept: writing a head allocates nothing in the steady state.
class HeadBuffer {
 public:
  /// Room for `size` bytes; drops the content.
  char* reset(std::size_t size) {
    if (size > capacity_) {
      data_ = std::make_unique<char[]>(size);
      capacity_ = size;
    }
    size_ = 0;
    return data_.get();
  }
  void set_size(std::size_t size) { size_ = size; }
  /// Gives back what a rare large head has taken.
  void trim(std::size_t keep_bytes) {
    if (capacity_ > keep_bytes) data_.reset(), capacity_ = 0;
    size_ = 0;
  }
  [[nodiscard]] std::string_view view() const { return {data_.get(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0, size_ = 0;
};

constexpr std::size_t kRequestIdBytesMin = 20, kRequestIdBytesMax = 200;

struct RequestContext {
  std::string_view client_ip;
  std::string_view port;         // the port the client came to
  bool secure = false;           // the client came by TLS
  std::string_view fresh_id;     // used when the client sent no valid X-Request-Id
  std::uint64_t now_ms = 0;      // wall clock, for X-Request-Start
  bool trust_forwarded = false;  // keep X-Forwarded-Proto, -Port and -Host that a proxy in front has set
};

/// Writes the head for the backend. Returns the X-Request-Id in force (a view into `out`).
std::string_view write_request_head(const RequestHead& head, const RequestContext& context, HeadBuffer& out);

struct ResponseContext {
  BodyFraming framing;  // towards the client
  int client_minor = 1;
  bool client_keep_alive = true;  // false: "Connection: close"
  bool upgrade = false;           // a 101 that opens a tunnel
  bool to_head_request = false;   // keep Content-Length although no body follows
  std::string_view set_cookie;    // a whole value, or empty
};

/// Writes the head for the client (also of a 1xx).
void write_response_head(const ResponseHead& head, const ResponseContext& context, HeadBuffer& out);

/// 20 to 200 characters of [a-zA-Z0-9+/=-], as Flynn's routers accept them.
bool valid_request_id(std::string_view id);

constexpr std::size_t kChunkSizeBytesMax = 18;
using ChunkSizeRoom = std::array<char, kChunkSizeBytesMax>;

/// What to send, in this order, so that the next reader sees `data` (the last of its body if `done`).
struct FramedBody {
  std::string_view size_line, data, end;
};
FramedBody frame_body(BodyFraming::Kind kind, std::string_view data, bool done, ChunkSizeRoom& room);

/// "HEX CRLF" of a chunk of `size` bytes, written so that it ends just before `end`. Returns where it begins.
char* write_chunk_size_before(char* end, std::size_t size);

}  // namespace flynn::router
