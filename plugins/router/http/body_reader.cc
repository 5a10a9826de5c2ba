#include "http/body_reader.h"

#include <algorithm>
#include <cstring>

#include "http/chars.h"

namespace flynn::router {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 15;  // below 2^60: no sum of sizes can wrap
constexpr std::uint16_t kExtensionBytesMax = 256;
constexpr std::uint32_t kTrailerBytesMax = 8 * 1024;
constexpr const char* kBadSize = "a malformed chunk size";
constexpr const char* kBadExtension = "a malformed chunk extension";
constexpr const char* kBadTrailer = "a malformed trailer";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  if (l >= 'a' && l <= 'f') return l - 'a' + 10;
  return -1;
}

}  // namespace

void BodyReader::start(BodyFraming framing) {
  kind_ = framing.kind;
  left_ = framing.length;
  digits_ = 0;
  line_bytes_ = 0;
  trailer_bytes_ = 0;
  switch (framing.kind) {
    case BodyFraming::Kind::kNone:
      state_ = State::kDone;
      break;
    case BodyFraming::Kind::kLength:
      state_ = left_ == 0 ? State::kDone : State::kData;
      break;
    case BodyFraming::Kind::kUntilClose:
      state_ = State::kData, left_ = UINT64_MAX;
      break;
    case BodyFraming::Kind::kChunked:
      state_ = State::kSizeFirst, left_ = 0;
      break;
  }
}

BodyReader::Step BodyReader::decode(char* bytes, std::size_t size) {
  Step result;
  while (result.consumed < size && state_ != State::kDone) {
    if (state_ != State::kData) {
      result.error = step(bytes[result.consumed]);
      if (result.error != nullptr) return result;
      ++result.consumed;
      continue;
    }
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - result.consumed));
    if (result.consumed != result.produced) std::memmove(bytes + result.produced, bytes + result.consumed, take);
    result.consumed += take;
    result.produced += take;
    if (kind_ == BodyFraming::Kind::kUntilClose) continue;
    left_ -= take;
    if (left_ == 0) state_ = kind_ == BodyFraming::Kind::kChunked ? State::kDataCr : State::kDone;
  }
  result.done = state_ == State::kDone;
  return result;
}

const char* BodyReader::step(char c) {
  switch (state_) {
    case State::kSizeFirst:
    case State::kSize:
      return step_size(c);
    case State::kExtName:
    case State::kExt:
    case State::kExtValue:
    case State::kExtToken:
    case State::kExtQuoted:
    case State::kExtEscaped:
    case State::kExtEnd:
      if (++line_bytes_ > kExtensionBytesMax) return "a chunk extension of more than 256 bytes";
      return step_extension(c);
    case State::kSizeLf:
      return c == '\n' ? end_size_line() : kBadSize;
    case State::kDataCr:
      if (c != '\r') return "chunk data that is longer than its size";
      state_ = State::kDataLf;
      return nullptr;
    case State::kDataLf:
      if (c != '\n') return "chunk data without its CRLF";
      state_ = State::kSizeFirst;
      return nullptr;
    default:
      if (++trailer_bytes_ > kTrailerBytesMax) return "trailers of more than 8 KiB";
      return step_trailer(c);
  }
}

const char* BodyReader::step_size(char c) {
  const int digit = hex_value(c);
  if (state_ == State::kSizeFirst) {
    if (digit < 0) return kBadSize;
    left_ = static_cast<std::uint64_t>(digit);
    digits_ = 1;
    line_bytes_ = 0;
    state_ = State::kSize;
    return nullptr;
  }
  if (digit >= 0) {
    if (++digits_ > kSizeDigitsMax) return kBadSize;
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    return nullptr;
  }
  if (c == '\r')
    state_ = State::kSizeLf;
  else if (c == ';')
    state_ = State::kExtName;
  else
    return kBadSize;
  return nullptr;
}

const char* BodyReader::step_extension(char c) {
  switch (state_) {
    case State::kExtName:
      if (!is_char(c, kTokenChar)) return kBadExtension;
      state_ = State::kExt;
      return nullptr;
    case State::kExtValue:
      if (c == '"')
        state_ = State::kExtQuoted;
      else if (is_char(c, kTokenChar))
        state_ = State::kExtToken;
      else
        return kBadExtension;
      return nullptr;
    case State::kExtQuoted:
      if (c == '"')
        state_ = State::kExtEnd;
      else if (c == '\\')
        state_ = State::kExtEscaped;
      else if (!is_char(c, kValueChar))
        return kBadExtension;
      return nullptr;
    case State::kExtEscaped:
      if (!is_char(c, kValueChar)) return kBadExtension;
      state_ = State::kExtQuoted;
      return nullptr;
    default:
      break;
  }
  if (c == '\r')
    state_ = State::kSizeLf;
  else if (c == ';')
    state_ = State::kExtName;
  else if (c == '=' && state_ == State::kExt)
    state_ = State::kExtValue;
  else if (state_ == State::kExtEnd || !is_char(c, kTokenChar))
    return kBadExtension;
  return nullptr;
}

const char* BodyReader::end_size_line() {
  state_ = left_ == 0 ? State::kTrailerStart : State::kData;
  return nullptr;
}

const char* BodyReader::step_trailer(char c) {
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r')
        state_ = State::kEndLf;
      else if (is_char(c, kTokenChar))
        state_ = State::kTrailerName;
      else
        return kBadTrailer;
      return nullptr;
    case State::kTrailerName:
      if (c == ':')
        state_ = State::kTrailerValue;
      else if (!is_char(c, kTokenChar))
        return kBadTrailer;
      return nullptr;
    case State::kTrailerValue:
      if (c == '\r')
        state_ = State::kTrailerLf;
      else if (!is_char(c, kValueChar))
        return kBadTrailer;
      return nullptr;
    case State::kTrailerLf:
      if (c != '\n') return kBadTrailer;
      state_ = State::kTrailerStart;
      return nullptr;
    default:
      if (c != '\n') return kBadTrailer;
      state_ = State::kDone;
      return nullptr;
  }
}

}  // namespace flynn::router
