// A blocking client's end of one connection, as simple as the load needs it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flynn/sdk/unique_fd.h"

namespace flynn::load {

/// FNV-1a, continued from `sum`: to tell a body that is complete and in order from any other.
std::uint64_t checksum(std::string_view bytes, std::uint64_t sum = 0xcbf29ce484222325);

struct Answer {
  std::string wrong;  // empty: complete, as its framing says
  int status = 0;
  bool closing = false;  // the server said so
  std::uint64_t body_bytes = 0, body_sum = 0;
};

/// Everything waits for at most 20 s.
class HttpWire {
 public:
  HttpWire() = default;
  explicit HttpWire(UniqueFd fd) : fd_(std::move(fd)) {}
  /// On the loopback; not open() when it was refused.
  static HttpWire connect(int port);

  [[nodiscard]] bool open() const { return fd_.valid(); }
  void close() { fd_.reset(), buffer_.clear(); }
  bool send(std::string_view bytes);
  /// Head with the empty line; less at the end.
  std::string read_head();
  /// Less at the end.
  std::string read_exactly(std::size_t bytes);
  Answer read_answer();
  /// True if bytes, or the end, come within `ms`.
  [[nodiscard]] bool readable_within(int ms) const;

 private:
  bool fill();
  UniqueFd fd_;
  std::string buffer_;
};

/// Of a head: the value, or empty. `name` in lower case with colon and blank; the head is folded to lower case.
std::string header(std::string head, std::string_view name);

}  // namespace flynn::load
