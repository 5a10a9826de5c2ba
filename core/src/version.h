// The host's own version; plugins are judged by the ABI, never by this.
#pragma once

namespace flynn::core {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace flynn::core
