#include "layer_restore.h"

#include <filesystem>
#include <optional>
#include <vector>

#include "backup/archive_reader.h"
#include "blob_files.h"

namespace flynn::blobstore {
namespace {

constexpr std::string_view kSuffix = ".squashfs";

/// "layers/<id>.squashfs" -> the id; empty for a member that is no layer.
std::string layer_id(std::string_view name) {
  if (!name.starts_with(backup::kLayerPrefix) || !name.ends_with(kSuffix)) return {};
  name.remove_prefix(backup::kLayerPrefix.size());
  name.remove_suffix(kSuffix.size());
  return is_digest(name) ? std::string(name) : std::string();
}

/// Puts one layer after the other; what was put is removed unless keep() was called.
class LayerPutter {
 public:
  explicit LayerPutter(const BlobFiles& files) : files_(files) {}
  ~LayerPutter() {
    if (kept_) return;
    for (const std::string& name : added_) (void)files_.remove(name).ok();
  }

  /// Whether the bytes that follow are wanted.
  Result<bool> begin(const std::string& name) {
    if (auto ended = end(); !ended) return ended.error();
    const std::string id = layer_id(name);
    if (id.empty()) return false;
    if (files_.get(name)) {
      ++result_.present;
      return false;
    }
    auto writer = files_.writer(name);
    if (!writer) return writer.error();
    writer_.emplace(std::move(*writer));
    name_ = name;
    id_ = id;
    return true;
  }
  Result<void> bytes(std::string_view bytes) { return writer_->write(bytes); }
  Result<void> end() {
    if (!writer_) return {};
    auto put = writer_->commit(name_, id_);
    writer_.reset();
    if (!put) return put.error().context(name_);
    added_.push_back(name_);
    ++result_.added;
    result_.bytes += put->size;
    return {};
  }
  RestoredLayers keep() {
    kept_ = true;
    return result_;
  }

 private:
  const BlobFiles& files_;
  std::optional<BlobWriter> writer_;
  std::string name_, id_;
  std::vector<std::string> added_;
  RestoredLayers result_;
  bool kept_ = false;
};

}  // namespace

Result<RestoredLayers> restore_layers(const std::string& archive, const std::string& folder) {
  if (auto whole = backup::read_archive_file(archive); !whole) return whole.error();
  std::error_code failed;
  const bool made = std::filesystem::create_directories(folder, failed);
  if (failed) return Error{Code::internal, "make " + folder + ": " + failed.message()};
  // As the core makes them; it does not mend the mode of a folder that is there.
  if (made) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  auto files = BlobFiles::open(folder);
  if (!files) return files.error().context("open the blobs");
  LayerPutter putter(**files);
  auto read = backup::read_archive_file(archive, {[&](const std::string& name) { return putter.begin(name); },
                                                  [&](std::string_view bytes) { return putter.bytes(bytes); }});
  if (!read) return read.error();
  if (auto ended = putter.end(); !ended) return ended.error();
  return putter.keep();
}

}  // namespace flynn::blobstore
