#include "blob_file.h"

#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <new>
#include <vector>

#include "flynn/sdk/clock.h"

namespace flynn::blobstore {
namespace {

constexpr const char* kDigestAttribute = "user.flynn.sha512_256";
constexpr std::size_t kDigestHexBytes = 64;
constexpr std::size_t kReadBytes = 256 * 1024;

std::string kept_digest(int fd) {
  std::string text(kDigestHexBytes, '\0');
  const auto got = ::fgetxattr(fd, kDigestAttribute, text.data(), text.size());
  return got == static_cast<ssize_t>(kDigestHexBytes) && is_digest(text) ? text : std::string();
}

Result<std::string> read_digest(int fd) {
  Sha512_256 digest;
  std::vector<char> chunk(kReadBytes);
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(fd, chunk.data(), chunk.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read a blob for its digest");
    if (got == 0) return digest.finish();
    digest.update(chunk.data(), static_cast<std::size_t>(got));
    offset += got;
  }
}

}  // namespace

Sha512_256::Sha512_256() : context_(::EVP_MD_CTX_new()) {
  if (context_ == nullptr || ::EVP_DigestInit_ex(context_, ::EVP_sha512_256(), nullptr) != 1) {
    ::EVP_MD_CTX_free(context_);
    throw std::bad_alloc();
  }
}

Sha512_256::~Sha512_256() { ::EVP_MD_CTX_free(context_); }

void Sha512_256::update(const void* data, std::size_t size) { ::EVP_DigestUpdate(context_, data, size); }

std::string Sha512_256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  ::EVP_DigestFinal_ex(context_, raw.data(), &size);
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[raw[i] >> 4];
    text += kHex[raw[i] & 15];
  }
  return text;
}

bool is_digest(std::string_view text) {
  return text.size() == kDigestHexBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void keep_digest(int fd, const std::string& digest) {
  ::fsetxattr(fd, kDigestAttribute, digest.data(), digest.size(), 0);
}

Result<BlobInfo> blob_size_and_time(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errno_error(errno, "stat a blob");
  if (!S_ISREG(status.st_mode)) return Error{Code::internal, "what lies under a blob's name is not a regular file"};
  using std::chrono::system_clock;
  const auto modified = std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  BlobInfo info;
  info.size = static_cast<std::uint64_t>(status.st_size);
  info.created_at = rfc3339(system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(modified)));
  return info;
}

Result<BlobInfo> blob_info(int fd) {
  auto info = blob_size_and_time(fd);
  if (!info) return info.error();
  info->sha512_256 = kept_digest(fd);
  if (!info->sha512_256.empty()) return info;
  auto digest = read_digest(fd);
  if (!digest) return digest.error();
  keep_digest(fd, *digest);
  info->sha512_256 = *digest;
  return info;
}

}  // namespace flynn::blobstore
