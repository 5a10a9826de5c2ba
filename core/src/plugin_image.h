// PluginImage: one private copy of a plugin's file, loaded.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "flynn/plugin.h"
#include "manifest.h"

namespace boost::dll {
class shared_library;
}

namespace flynn::core {

/// A copy of a plugin's file in the core's own folder: nobody can change what is mapped, and every generation has a
/// name of its own (glibc gives the old code for a name that it still has loaded).
struct StagedFile {
  std::filesystem::path path;
  std::string digest;  // SHA-256, lower-case hex
};

/// Copies while hashing to folder/<generation>-<digest:12>.so; the source's .sig becomes the copy's.
/// It is not synced: a copy that is to outlive a power cut needs sync_staged().
Result<StagedFile> stage_plugin(const std::filesystem::path& source, const std::filesystem::path& folder,
                                std::int64_t generation);
Result<void> sync_staged(const std::filesystem::path& path);
/// The copy and its .sig.
void remove_staged(const std::filesystem::path& path);
Result<std::string> digest_of_file(const std::filesystem::path& file);

/// Thread: [control].
class PluginImage {
 public:
  /// Maps it and finds its entry. The manifest was judged before. Errors carry the dynamic linker's words.
  static Result<std::unique_ptr<PluginImage>> load(StagedFile file, const Manifest& manifest);
  ~PluginImage();

  const flynn_plugin& descriptor() const { return *descriptor_; }
  const StagedFile& file() const { return file_; }
  /// Unmaps it; true when really nothing of it is mapped any more. Only after the gate has passed.
  bool unload();
  /// Keeps it mapped for good.
  void abandon();

 private:
  explicit PluginImage(StagedFile file);
  StagedFile file_;
  std::unique_ptr<boost::dll::shared_library> library_;
  const flynn_plugin* descriptor_ = nullptr;
};

bool is_mapped(const std::filesystem::path& file);

}  // namespace flynn::core
