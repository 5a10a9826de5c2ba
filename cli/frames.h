/// The attach protocol of `flynn run`: frames of a type byte and big-endian integers, in both directions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "result.h"

namespace flynn::cli {

enum class FrameType : std::uint8_t {
  kSuccess = 0,
  kWaiting = 1,
  kError = 2,
  kData = 3,
  kSignal = 4,
  kExit = 5,
  kResize = 6
};
enum class Stream : std::uint8_t { kStdin = 0, kStdout = 1, kStderr = 2, kInit = 3 };

struct Frame {
  FrameType type = FrameType::kSuccess;
  std::uint8_t stream = 0;    // data
  std::uint32_t number = 0;   // signal number, or exit status
  std::uint16_t rows = 0;     // resize
  std::uint16_t columns = 0;  // resize
  std::string payload;        // data (empty: end of that stream) or the text of an error
};

std::string encode_data(Stream stream, std::string_view payload);
std::string encode_signal(std::uint32_t signal);
std::string encode_exit(std::uint32_t status);
std::string encode_error(std::string_view text);
std::string encode_resize(std::uint16_t rows, std::uint16_t columns);

/// Puts frames together from bytes as they arrive.
class FrameReader {
 public:
  void feed(std::string_view bytes);
  /// The next whole frame, or nothing yet. Fails on an unknown type or a payload above kFramePayloadMax: the stream
  /// can't be followed any more.
  Result<std::optional<Frame>> next();

 private:
  std::string buffer_;
  std::size_t at_ = 0;
};

/// More than any sender packs into a frame; a length above it means that the two sides are out of step.
constexpr std::uint32_t kFramePayloadMax = 64U << 20U;

}  // namespace flynn::cli
