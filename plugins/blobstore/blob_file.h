// One stored file: its metadata, and the digest that is kept in an extended attribute of it.
#pragma once

#include <cstdint>
#include <string>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

typedef struct evp_md_ctx_st EVP_MD_CTX;

namespace flynn::blobstore {

struct BlobInfo {
  std::uint64_t size = 0;
  std::string sha512_256;  // lower-case hex
  std::string created_at;
};

/// SHA-512/256 as data comes by. Thread: one at a time.
class Sha512_256 {
 public:
  Sha512_256();
  ~Sha512_256();
  Sha512_256(const Sha512_256&) = delete;
  Sha512_256& operator=(const Sha512_256&) = delete;
  void update(const void* data, std::size_t size);
  /// Lower-case hex; once.
  std::string finish();

 private:
  EVP_MD_CTX* context_;
};

bool is_digest(std::string_view text);

/// Keeps the digest with the open file. Quietly does without on a file system that has no attributes: blob_info then
/// reads the file instead.
void keep_digest(int fd, const std::string& digest);

/// Of an open blob. Reads the whole file when its digest was lost (a copy without attributes) and keeps it again; the
/// position of `fd` does not move.
Result<BlobInfo> blob_info(int fd);
/// Without the digest: what a listing needs.
Result<BlobInfo> blob_size_and_time(int fd);

}  // namespace flynn::blobstore
