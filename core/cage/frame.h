// Frame: one message between the host and a cage: a fixed head, the texts, and descriptors beside them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// What the receiver does with it.
enum class FrameKind : std::uint32_t {
  setup = 1,  ///< host to cage, once: body {"slot",…}, the image and the first lane
  lane,       ///< either way: one descriptor, the other end of a lane that the sender calls by
  log,        ///< cage to host: code is the level, method the event, body the fields
  phase,      ///< host to cage: method is the lifecycle function, code hand_over's share
  handle,     ///< host to cage: a call of the door
  call,       ///< cage to host: a call of the door
  listener,   ///< cage to host: method is the name of the socket
  reply       ///< code, and body or, with an error, its message in method and details in body
};

/// All views are borrowed; so are the descriptors. A frame is at most kFrameBytesMax long, with kFrameFdsMax at most.
struct Frame {
  FrameKind kind = FrameKind::reply;
  std::int32_t code = 0;
  std::uint64_t deadline_ns = 0;
  std::string_view interface, method, caller, request_id, body;
  const int* fds = nullptr;
  std::uint32_t fd_count = 0;
};

inline constexpr std::size_t kFrameBytesMax = 64u << 20;
/// SCM_MAX_FD of the kernel.
inline constexpr std::uint32_t kFrameFdsMax = 253;

/// What was received. Views point into the lane's buffer until the next receive(); the descriptors are owned.
struct Received {
  Frame frame;
  std::vector<UniqueFd> fds;
};

/// One end of a stream socket, and the frames in it. Thread: one sender and one receiver at a time.
class Lane {
 public:
  explicit Lane(UniqueFd fd) : fd_(std::move(fd)) {}
  Lane(Lane&&) = default;
  Lane& operator=(Lane&&) = default;

  /// resource_exhausted when the frame is too large (nothing was sent); unavailable when the other end has gone;
  /// deadline_exceeded (the lane can't be used any more).
  Result<void> send(const Frame& frame, Deadline deadline) const;
  /// unavailable at the end; invalid_argument for a frame that nobody of ours made; deadline_exceeded.
  Result<Received> receive(Deadline deadline);
  int fd() const { return fd_.get(); }

 private:
  Result<void> read_some(Deadline deadline);
  bool comes_soon() const;

  UniqueFd fd_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what is in the buffer and not yet given away
  std::deque<UniqueFd> fds_;         // in the order of the frames that they belong to
};

/// Both ends, close-on-exec.
Result<std::pair<Lane, Lane>> make_lane();

}  // namespace flynn::core
