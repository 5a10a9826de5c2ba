// Reads what a plugin's file says about itself without running any of its code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::core {

/// What the ELF headers, the dynamic section and the note say. Only facts; judge() in manifest.h has the opinion.
struct ElfFacts {
  std::string manifest_text;  ///< empty when there is no note of name "Flynn" and type 1
  std::vector<std::string> exports;
  std::vector<std::string> unique_symbols;
  bool has_nodelete = false;
  bool has_text_relocations = false;
  bool has_rpath = false;
  bool binds_now = false;
};

inline constexpr std::size_t kPluginFileBytesMax = std::size_t{512} << 20;
inline constexpr std::size_t kManifestBytesMax = std::size_t{1} << 20;

/// Errors: invalid_argument when the file is not a whole ELF64 shared object of this machine (the message says what is
/// wrong with it), or the system's error. Thread: [any].
Result<ElfFacts> probe_elf(const std::filesystem::path& path);

}  // namespace flynn::core
