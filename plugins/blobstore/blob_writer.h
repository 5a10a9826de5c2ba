// BlobWriter: one blob on its way in.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "blob_file.h"
#include "flynn/sdk/clock.h"

namespace flynn::blobstore {

/// Writes to a temporary file that nobody sees and that goes away with this object unless commit() succeeded. It is
/// locked while it is written, so that whoever cleans up can tell a live one from a leftover, also across two versions
/// of this plugin. Thread: one at a time. Borrows the folder descriptors.
class BlobWriter {
 public:
  /// resource_exhausted when the disk is full.
  static Result<BlobWriter> open(int temporary_folder, int blobs_folder);
  BlobWriter(BlobWriter&&) noexcept = default;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter();

  Result<void> write(std::string_view data);
  /// All of `source` up to its end. deadline_exceeded when it has not ended by then.
  Result<void> write_all_of(int source, Deadline deadline);
  /// Makes the blob appear under `name` (checked by the caller), replacing an earlier one, durably.
  /// invalid_argument when the digest is not the expected one.
  Result<BlobInfo> commit(std::string_view name, const std::optional<std::string>& expected_digest);

 private:
  BlobWriter(int temporary_folder, int blobs_folder) : temporary_(temporary_folder), blobs_(blobs_folder) {}
  Result<void> move_into_place(const std::string& path);

  int temporary_, blobs_;
  std::string file_name_;  // empty once it has moved
  UniqueFd file_;
  std::unique_ptr<Sha512_256> digest_;
  std::uint64_t size_ = 0;
};

/// Removes temporary files that no writer holds any more. Returns how many.
int remove_leftovers(int temporary_folder);

}  // namespace flynn::blobstore
