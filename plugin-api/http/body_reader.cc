#include "body_reader.h"

#include <Poco/Exception.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

namespace flynn::http {
namespace {

namespace net = Poco::Net;

constexpr std::size_t kChunkLineMax = 4096;  // a size and its extensions
constexpr std::size_t kTrailerBytesMax = 16 * 1024;
constexpr std::int64_t kLengthMax = std::int64_t{1} << 62;

/// All of `digits` and nothing else; nothing when it is not a length.
std::optional<std::int64_t> length_of(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, problem] = std::from_chars(digits.data(), end, value, base);
  if (problem != std::errc{} || rest != end || value > kLengthMax) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

class BodyReader {
 public:
  BodyReader(HttpSession& from, std::size_t bytes_max, HttpRequest& to)
      : from_(from), bytes_max_(bytes_max), to_(to), piece_(to.sink != nullptr ? 256 * 1024 : 16 * 1024) {}

  BodyEnd copy(std::int64_t count) {
    while (count > 0) {
      const auto wanted = std::min(count, static_cast<std::int64_t>(piece_.size()));
      const int got = from_.read(piece_.data(), static_cast<std::streamsize>(wanted));
      if (got <= 0) return BodyEnd::broken;
      count -= got;
      const std::string_view piece(piece_.data(), static_cast<std::size_t>(got));
      if (to_.sink != nullptr) {
        if (!to_.sink->take(piece)) return BodyEnd::unwanted;
        continue;
      }
      if (to_.body.size() + piece.size() > bytes_max_) return BodyEnd::too_big;
      to_.body += piece;
    }
    return BodyEnd::whole;
  }

  BodyEnd copy_chunks() {
    while (true) {
      if (!read_line(kChunkLineMax)) return BodyEnd::broken;
      const std::string_view digits = std::string_view(line_).substr(0, line_.find_first_of("; \t"));
      const auto size = length_of(digits, 16);
      if (!size) return BodyEnd::broken;
      if (*size == 0) return skip_trailers() ? BodyEnd::whole : BodyEnd::broken;
      const BodyEnd end = copy(*size);
      if (end != BodyEnd::whole) return end;
      if (!read_line(0)) return BodyEnd::broken;
    }
  }

 private:
  /// Into line_, without its CRLF; false when there is none within `bytes_max` bytes.
  bool read_line(std::size_t bytes_max) {
    line_.clear();
    while (true) {
      const int byte = from_.get();
      if (byte == '\r') return from_.get() == '\n';
      if (byte < 0 || byte == '\n' || line_.size() == bytes_max) return false;
      line_ += static_cast<char>(byte);
    }
  }

  bool skip_trailers() {
    std::size_t left = kTrailerBytesMax;
    do {
      if (!read_line(left)) return false;
      left -= line_.size();
    } while (!line_.empty());
    return true;
  }

  HttpSession& from_;
  const std::size_t bytes_max_;
  HttpRequest& to_;
  std::vector<char> piece_;
  std::string line_;
};

}  // namespace

std::optional<BodyFrame> frame_of(const net::HTTPRequest& head) {
  BodyFrame frame;
  int lengths = 0, encodings = 0;
  for (const auto& [name, value] : head) {
    if (::strcasecmp(name.c_str(), "Content-Length") == 0) {
      const auto length = length_of(value, 10);
      if (!length) return std::nullopt;
      frame.length = *length;
      ++lengths;
    } else if (::strcasecmp(name.c_str(), "Transfer-Encoding") == 0) {
      if (::strcasecmp(value.c_str(), "chunked") != 0) return std::nullopt;
      frame.chunked = true;
      ++encodings;
    }
  }
  if (lengths + encodings > 1) return std::nullopt;
  return frame;
}

BodyEnd read_body(HttpSession& from, const BodyFrame& frame, std::size_t bytes_max, HttpRequest& to) {
  try {
    BodyReader reader(from, bytes_max, to);
    return frame.chunked ? reader.copy_chunks() : reader.copy(frame.length);
  } catch (const Poco::TimeoutException&) {
    return BodyEnd::late;
  } catch (const Poco::Exception&) {
    return BodyEnd::broken;
  }
}

}  // namespace flynn::http
