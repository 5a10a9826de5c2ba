// Between the C structs of flynn/plugin.h and the SDK's types. Private to the SDK.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/plugin.h"
#include "flynn/sdk/call.h"

namespace flynn::abi1 {

inline flynn_bytes bytes(std::string_view text) { return flynn_bytes{text.data(), text.size()}; }
inline std::string_view view(flynn_bytes b) {
  return b.size == 0 ? std::string_view() : std::string_view(b.data, b.size);
}

inline flynn_status write_error(const Error& error, flynn_error* out) {
  if (out != nullptr) {
    const std::size_t size = std::min(error.message.size(), sizeof out->message);
    out->code = static_cast<flynn_status>(error.code);
    out->message_size = static_cast<std::uint32_t>(size);
    std::memcpy(out->message, error.message.data(), size);
  }
  return static_cast<flynn_status>(error.code);
}

inline Error read_error(flynn_status status, const flynn_error& error) {
  const std::size_t size = std::min<std::size_t>(error.message_size, sizeof error.message);
  return Error{code_from_status(status), std::string(error.message, size)};
}

/// A flynn_reply that keeps what it is given.
class ReplyCollector {
 public:
  ReplyCollector();
  ReplyCollector(const ReplyCollector&) = delete;
  ReplyCollector& operator=(const ReplyCollector&) = delete;

  flynn_reply* table() { return &table_; }
  Result<Reply> take(flynn_status status);

 private:
  static ReplyCollector& self(flynn_reply* reply) { return *static_cast<ReplyCollector*>(reply->ctx); }

  flynn_reply table_{};
  std::string body_;
  std::vector<UniqueFd> fds_;
  std::string message_;
};

}  // namespace flynn::abi1
