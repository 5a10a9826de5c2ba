#include "attach_text.h"

#include <poll.h>
#include <unistd.h>

namespace flynn::authoring {
namespace {

constexpr std::size_t kFrameBytesMax = 1u << 20;
enum : unsigned char { kError = 2, kData = 3, kExit = 5 };

// Exactly that much; waits for it.
Result<std::string> taken(int fd, std::size_t size, Deadline deadline) {
  std::string text(size, '\0');
  for (std::size_t have = 0; have < size;) {
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, deadline.left_ms()) <= 0)
      return Error{Code::deadline_exceeded, "the session has not ended in time"};
    const auto got = ::read(fd, text.data() + have, size - have);
    if (got <= 0) return Error{Code::cancelled, "the session ended without telling the job's exit"};
    have += static_cast<std::size_t>(got);
  }
  return text;
}

Result<std::uint32_t> number(int fd, Deadline deadline) {
  auto bytes = taken(fd, 4, deadline);
  if (!bytes) return bytes.error();
  std::uint32_t value = 0;
  for (const char c : *bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

Result<std::string> counted_text(int fd, Deadline deadline) {
  auto size = number(fd, deadline);
  if (!size) return size.error();
  if (*size > kFrameBytesMax) return Error{Code::invalid_argument, "a frame is longer than 1 MiB"};
  return taken(fd, *size, deadline);
}

}  // namespace

Result<json::object> attach_session(int fd, Deadline deadline) {
  std::string out, err;
  while (true) {
    auto type = taken(fd, 1, deadline);
    if (!type) return type.error().context("after \"" + out + "\" and \"" + err + "\"");
    const auto frame = static_cast<unsigned char>(type->front());
    if (frame == kData) {
      auto stream = taken(fd, 1, deadline);
      if (!stream) return stream.error();
      auto text = counted_text(fd, deadline);
      if (!text) return text.error();
      (stream->front() == 2 ? err : out) += *text;
      continue;
    }
    json::object told{{"stdout", out}, {"stderr", err}};
    if (frame == kExit) {
      auto status = number(fd, deadline);
      if (!status) return status.error();
      told["exit"] = *status;
    } else if (frame == kError) {
      auto text = counted_text(fd, deadline);
      if (!text) return text.error();
      told["error"] = *text;
    } else {
      return Error{Code::invalid_argument, "a frame of type " + std::to_string(frame) + " is none of a host"};
    }
    return told;
  }
}

std::string stdin_frame(std::string_view text) {
  std::string frame{'\3', '\0'};
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(text.size() >> shift & 255);
  return frame.append(text);
}

}  // namespace flynn::authoring
