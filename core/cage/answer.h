// Between the frames of a cage and the C structs of flynn/plugin.h.
#pragma once

#include <string>
#include <vector>

#include "flynn/plugin.h"
#include "frame.h"

namespace flynn::core {

inline flynn_bytes bytes_of(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view_of(flynn_bytes bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

/// A flynn_reply that becomes a frame. Thread: one at a time.
class Answer {
 public:
  Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  flynn_reply* table() { return &table_; }
  /// Borrows what was collected. An answer that is too large to pass becomes resource_exhausted.
  Frame frame(flynn_status status);

 private:
  static Answer& self(flynn_reply* reply) { return *static_cast<Answer*>(reply->ctx); }
  flynn_reply table_{};
  std::string body_, message_, details_;
  std::vector<UniqueFd> fds_;
  std::vector<int> numbers_;
};

/// The answer in `received` as if the plugin had given it here; its status.
flynn_status give(Received& received, flynn_reply* reply);
/// An error without a plugin.
flynn_status refuse(flynn_reply* reply, const Error& error);
/// The request as the C struct; it borrows `request` and `numbers`.
flynn_call call_of(const Received& request, std::vector<int>& numbers);
/// The reverse; borrows `call`.
Frame frame_of(FrameKind kind, const flynn_call& call);

}  // namespace flynn::core
