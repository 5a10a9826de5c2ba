// BlobFiles: the blobs of one data folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blob_writer.h"

namespace flynn::blobstore {

inline constexpr std::size_t kListMax = 10'000;

struct ListedBlob {
  std::string name;
  std::uint64_t size = 0;
  std::string created_at;
};

struct BlobList {
  std::vector<ListedBlob> blobs;  // in byte order of names
  bool more = false;
};

struct BlobStatus {
  std::uint64_t blobs = 0, bytes = 0, free_bytes = 0;
};

/// Files below `folder`/blobs, temporary ones in `folder`/temporary. Nothing is cached: two instances (a swap) may work
/// on one folder. Thread: [any].
class BlobFiles {
 public:
  /// Makes the folders and removes what interrupted writers left.
  static Result<std::unique_ptr<BlobFiles>> open(const std::string& folder);

  Result<BlobWriter> writer(std::string_view name) const;
  Result<BlobInfo> put(std::string_view name, int source, const std::optional<std::string>& expected_digest,
                       Deadline deadline) const;
  struct OpenBlob {
    UniqueFd file;
    BlobInfo info;
  };
  /// The file stays readable when the blob is deleted or replaced meanwhile.
  Result<OpenBlob> get(std::string_view name) const;
  Result<void> remove(std::string_view name) const;
  /// At most `limit` names that begin with `prefix` and come after `after`.
  Result<BlobList> list(std::string_view prefix, std::size_t limit, std::string_view after) const;
  Result<BlobStatus> status() const;
  int leftovers_removed() const { return leftovers_removed_; }

 private:
  UniqueFd blobs_, temporary_;
  int leftovers_removed_ = 0;
};

}  // namespace flynn::blobstore
