// The manifest of a plugin: parsed, and judged before any of the plugin's code runs.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elf_probe.h"
#include "flynn/sdk/result.h"

namespace flynn::core {

/// "flynn.store/1.2": an interface, its major (another major is another interface) and the least minor.
struct InterfaceId {
  std::string name;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;

  auto operator<=>(const InterfaceId&) const = default;
  std::string text() const;
  /// True when this, provided, satisfies `wanted`.
  bool satisfies(const InterfaceId& wanted) const {
    return name == wanted.name && major == wanted.major && minor >= wanted.minor;
  }
  bool same_major(const InterfaceId& other) const { return name == other.name && major == other.major; }

  /// "a.b/1" (minor 0) or "a.b/1.2".
  static std::optional<InterfaceId> parse(std::string_view text);
};

enum class SwapMode { overlap, exclusive };

struct Manifest {
  std::string text;  ///< as it stands in the note
  std::string name, version, description;
  std::uint32_t abi_major = 0, abi_minor = 0;
  std::vector<InterfaceId> provides, requires_, optional;
  std::vector<std::string> listeners;     ///< of the capabilities "listen:NAME"
  std::vector<std::string> capabilities;  ///< as they stand in the manifest
  bool operates = false;                  ///< capability "operate": may change the plugins of the node by flynn.node/1
  SwapMode swap = SwapMode::overlap;
  std::string config_schema;  ///< JSON Schema, "{}" when absent

  bool provides_interface(const InterfaceId& wanted) const;
};

/// invalid_argument names the member and what is wrong with it.
Result<Manifest> parse_manifest(std::string_view text);

/// Everything that keeps this file from being loaded, each a sentence that says what to do; empty: it may be loaded.
std::vector<std::string> judge(const ElfFacts& facts);

/// probe_elf, judge and parse_manifest in one: failed_precondition names all problems.
Result<Manifest> verify_plugin(const std::filesystem::path& path);

/// Letters, digits, '-' and '_', at most 64, beginning with a letter: what may become a part of a path.
bool is_slot_name(std::string_view name);
bool is_semver(std::string_view version);

}  // namespace flynn::core
