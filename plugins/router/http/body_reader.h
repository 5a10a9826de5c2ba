// Finds the end of a body, and takes the framing off.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/head.h"

namespace flynn::router {

/// Reads one body. Sans-IO: fed with what has come, in any pieces, it hands out the data without its framing and stops
/// at the first byte that belongs to the next message. Strict about chunks: lines end in CRLF, sizes are 1 to 15 hex
/// digits and nothing else, extensions are well-formed; trailers are checked and dropped (no field may arrive after the
/// decision that it could have changed).
/// Thread: its owner's.
class BodyReader {
 public:
  struct Step {
    std::size_t consumed = 0;     // bytes of the input that are dealt with
    std::size_t produced = 0;     // bytes of data, moved to the front of the input
    bool done = false;            // the body has ended
    const char* error = nullptr;  // the framing is broken: the connection can't be used any more
  };

  void start(BodyFraming framing);

  /// Decodes in place. Call again with more while neither done nor error. Data of several chunks is joined.
  Step decode(char* bytes, std::size_t size);

  [[nodiscard]] bool done() const { return state_ == State::kDone; }
  [[nodiscard]] BodyFraming::Kind kind() const { return kind_; }
  /// With a length: what is still to come.
  [[nodiscard]] std::uint64_t left() const { return left_; }

 private:
  enum class State : std::uint8_t {
    kData,        // `left_` bytes of data (all until close, if that is the framing)
    kSizeFirst,   // the first digit of a size
    kSize,        // further digits, ';' or CR
    kExtName,     // first byte of an extension's name
    kExt,         // rest of the name
    kExtValue,    // first byte of its value
    kExtToken,    // rest of a token value
    kExtQuoted,   // inside a quoted value
    kExtEscaped,  // after a backslash in it
    kExtEnd,      // after the closing quote
    kSizeLf,      // the LF of a size line
    kDataCr,
    kDataLf,
    kTrailerStart,  // first byte of a trailer line, or the CR of the last line
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
  };

  const char* step(char c);
  const char* step_size(char c);
  const char* step_extension(char c);
  const char* step_trailer(char c);
  const char* end_size_line();

  State state_ = State::kDone;
  BodyFraming::Kind kind_ = BodyFraming::Kind::kNone;
  std::uint8_t digits_ = 0;
  std::uint16_t line_bytes_ = 0;  // of extensions in this chunk
  std::uint32_t trailer_bytes_ = 0;
  std::uint64_t left_ = 0;
};

}  // namespace flynn::router
