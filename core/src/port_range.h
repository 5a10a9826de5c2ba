// PortRange: an address with a range of ports, as a listener of the configuration may have: "0.0.0.0:3000-3500".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::core {

/// Of all ranges of a node together, and of the sockets that the keeper takes from the host.
inline constexpr int kRangePortsMax = 1024;

/// Thread: [any].
struct PortRange {
  std::string host;  ///< numeric, as it is written; IPv6 in brackets
  std::uint16_t first = 0;
  std::uint16_t last = 0;  ///< not below `first`

  /// Whether the text wants to be a range: there is a '-' behind its last ':'.
  static bool is_meant_by(std::string_view text);
  /// invalid_argument says what is wrong with it. Nothing is bound or looked up.
  static Result<PortRange> parse(const std::string& text);

  int size() const { return last - first + 1; }
  /// "3000-3500".
  std::string ports_text() const;
  /// "0.0.0.0:3007".
  std::string address_of(std::uint16_t port) const { return host + ":" + std::to_string(port); }
  /// The port that is written there: invalid_argument when it is none, not_found outside the range. Both say the range.
  Result<std::uint16_t> port_of(std::string_view text) const;
};

/// 1 to 65535 in the one way to write it: no sign, no blank, no leading zero.
std::optional<std::uint16_t> parse_port(std::string_view text);

/// What the sockets of a range may be called by: 1 to 64 letters, digits, '.', '-' or '_'. They pass through an
/// environment variable that has ',' ':' and '=' in it.
bool is_range_name(std::string_view name);

/// "router.tcp:3007" as name and port; nothing when it is not of that form.
struct RangedName {
  std::string range;
  std::uint16_t port = 0;
};
std::optional<RangedName> parse_ranged_name(std::string_view name);

}  // namespace flynn::core
