/// The uncompressed tar of a layer, read from a member of an image's archive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "result.h"

struct archive;

namespace flynn::cli {

struct FreeReader {
  void operator()(archive* handle) const;
};
using ArchiveReader = std::unique_ptr<archive, FreeReader>;

/// Reads tar files, whole or compressed by gzip, zstd, xz or bzip2, from the beginning of `fd`.
Result<ArchiveReader> open_tar(int fd);
Error archive_failure(const std::string& doing, archive* handle);

/// Where `outer` stands is the member; it must not move on meanwhile. Gzip and the like are taken off. Thread: one.
class LayerStream {
 public:
  static Result<std::unique_ptr<LayerStream>> open(archive* outer, std::int64_t member_bytes);

  /// Bytes in the tar; -1 when only its end tells.
  [[nodiscard]] std::int64_t size() const { return size_; }
  /// 0 at the end.
  Result<std::size_t> read(char* to, std::size_t size);

 private:
  explicit LayerStream(archive* outer);
  static long on_read(archive* handle, void* self, const void** bytes);

  archive* outer_;
  std::vector<char> chunk_;
  ArchiveReader inner_;
  std::int64_t size_ = -1;
  bool empty_ = false;
};

/// The content of the files with these names in a layer's tar, by name; those that it lacks are missing.
Result<std::vector<std::pair<std::string, std::string>>> files_of_layer(LayerStream& layer,
                                                                        const std::vector<std::string>& names);

}  // namespace flynn::cli
