#include "frames.h"

namespace flynn::cli {
namespace {

void put_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8U);
  out += static_cast<char>(value & 0xFFU);
}

void put_u32(std::string& out, std::uint32_t value) {
  put_u16(out, static_cast<std::uint16_t>(value >> 16U));
  put_u16(out, static_cast<std::uint16_t>(value & 0xFFFFU));
}

std::uint32_t read_big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes) value = (value << 8U) | static_cast<unsigned char>(byte);
  return value;
}

std::string start(FrameType type) { return std::string(1, static_cast<char>(type)); }

std::string encode_number(FrameType type, std::uint32_t value) {
  std::string out = start(type);
  put_u32(out, value);
  return out;
}

/// Bytes before the payload, the type byte included; 0 for an unknown type.
std::size_t header_size(FrameType type) {
  switch (type) {
    case FrameType::kSuccess:
    case FrameType::kWaiting:
      return 1;
    case FrameType::kError:
    case FrameType::kSignal:
    case FrameType::kExit:
    case FrameType::kResize:
      return 5;
    case FrameType::kData:
      return 6;
  }
  return 0;
}

}  // namespace

std::string encode_data(Stream stream, std::string_view payload) {
  std::string out = start(FrameType::kData);
  out += static_cast<char>(stream);
  put_u32(out, static_cast<std::uint32_t>(payload.size()));
  return out.append(payload);
}

std::string encode_signal(std::uint32_t signal) { return encode_number(FrameType::kSignal, signal); }
std::string encode_exit(std::uint32_t status) { return encode_number(FrameType::kExit, status); }

std::string encode_error(std::string_view text) {
  return encode_number(FrameType::kError, static_cast<std::uint32_t>(text.size())).append(text);
}

std::string encode_resize(std::uint16_t rows, std::uint16_t columns) {
  std::string out = start(FrameType::kResize);
  put_u16(out, rows);
  put_u16(out, columns);
  return out;
}

void FrameReader::feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<Frame>> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.empty()) return std::optional<Frame>();
  Frame frame;
  frame.type = static_cast<FrameType>(rest[0]);
  const std::size_t header = header_size(frame.type);
  if (header == 0) {
    return failure("attach stream: unknown frame type " + std::to_string(static_cast<unsigned char>(rest[0])));
  }
  if (rest.size() < header) return std::optional<Frame>();

  std::uint32_t length = 0;
  if (frame.type == FrameType::kData) {
    frame.stream = static_cast<std::uint8_t>(rest[1]);
    length = read_big_endian(rest.substr(2, 4));
  } else if (frame.type == FrameType::kError) {
    length = read_big_endian(rest.substr(1, 4));
  } else if (frame.type == FrameType::kResize) {
    frame.rows = static_cast<std::uint16_t>(read_big_endian(rest.substr(1, 2)));
    frame.columns = static_cast<std::uint16_t>(read_big_endian(rest.substr(3, 2)));
  } else if (header == 5) {
    frame.number = read_big_endian(rest.substr(1, 4));
  }
  if (length > kFramePayloadMax) return failure("attach stream: a frame of " + std::to_string(length) + " bytes");
  if (rest.size() < header + length) return std::optional<Frame>();
  frame.payload = rest.substr(header, length);
  at_ += header + length;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace flynn::cli
