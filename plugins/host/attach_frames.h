// Attach frames: the wire of `flynn run` (plugin-api/interfaces/host.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::host {

std::string data_frame(std::uint8_t stream, std::string_view payload);
std::string exit_frame(std::uint32_t status);
std::string error_frame(std::string_view text);

struct ClientFrame {
  enum class Type { stdin_data, stdin_end, signal, resize } type = Type::stdin_data;
  std::string data;
  std::uint32_t signal = 0;
  std::uint16_t rows = 0, columns = 0;
};

inline constexpr std::size_t kFrameBytesMax = 1u << 20;

/// Takes one whole frame from the front of `buffer`; nullopt: not there yet. invalid_argument: no frame of a client.
Result<std::optional<ClientFrame>> take_client_frame(std::string& buffer);

}  // namespace flynn::host
