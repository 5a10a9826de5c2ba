#include "attach_frames.h"

namespace flynn::host {
namespace {

enum : unsigned char { kError = 2, kData = 3, kSignal = 4, kExit = 5, kResize = 6 };

void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

std::uint32_t u(std::string_view text, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

}  // namespace

std::string data_frame(std::uint8_t stream, std::string_view payload) {
  std::string frame{static_cast<char>(kData), static_cast<char>(stream)};
  put_u32(frame, static_cast<std::uint32_t>(payload.size()));
  return frame.append(payload);
}

std::string exit_frame(std::uint32_t status) {
  std::string frame{static_cast<char>(kExit)};
  put_u32(frame, status);
  return frame;
}

std::string error_frame(std::string_view text) {
  std::string frame{static_cast<char>(kError)};
  put_u32(frame, static_cast<std::uint32_t>(text.size()));
  return frame.append(text);
}

Result<std::optional<ClientFrame>> take_client_frame(std::string& buffer) {
  const std::optional<ClientFrame> none;
  if (buffer.empty()) return none;
  ClientFrame frame;
  std::size_t size = 0;
  switch (static_cast<unsigned char>(buffer[0])) {
    case 0:  // a state byte that some clients repeat
      buffer.erase(0, 1);
      return take_client_frame(buffer);
    case kData: {
      if (buffer.size() < 6) return none;
      const auto length = u(buffer, 2, 4);
      if (buffer[1] != 0) return Error{Code::invalid_argument, "a client may send data for stream 0 alone"};
      if (length > kFrameBytesMax) return Error{Code::invalid_argument, "a data frame is larger than 1 MiB"};
      if (buffer.size() < 6 + length) return none;
      frame.type = length == 0 ? ClientFrame::Type::stdin_end : ClientFrame::Type::stdin_data;
      frame.data = buffer.substr(6, length);
      size = 6 + length;
      break;
    }
    case kSignal:
      if (buffer.size() < 5) return none;
      frame.type = ClientFrame::Type::signal;
      frame.signal = u(buffer, 1, 4);
      size = 5;
      break;
    case kResize:
      if (buffer.size() < 5) return none;
      frame.type = ClientFrame::Type::resize;
      frame.rows = static_cast<std::uint16_t>(u(buffer, 1, 2));
      frame.columns = static_cast<std::uint16_t>(u(buffer, 3, 2));
      size = 5;
      break;
    default:
      return Error{Code::invalid_argument,
                   "unknown frame type " + std::to_string(static_cast<unsigned char>(buffer[0]))};
  }
  buffer.erase(0, size);
  return std::optional<ClientFrame>(std::move(frame));
}

}  // namespace flynn::host
