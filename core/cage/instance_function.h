// The lifecycle functions by name and bit, as they travel between host and cage.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flynn::core {

enum class InstanceFunction : std::uint32_t {
  create,
  configure,
  import_state,
  start,
  health,
  activate,
  quiesce,
  resume,
  export_state,
  drain,
  stop,
  destroy,
  hand_over,
  take_over
};

inline constexpr std::array<std::string_view, 14> kFunctionNames{
    "create", "configure",    "import_state", "start", "health",  "activate",  "quiesce",
    "resume", "export_state", "drain",        "stop",  "destroy", "hand_over", "take_over"};

constexpr std::uint32_t bit_of(InstanceFunction function) { return 1u << static_cast<std::uint32_t>(function); }

}  // namespace flynn::core
