#include "slug_packer.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "process/child.h"

namespace flynn::builder {
namespace {

constexpr std::size_t kWordsBytesMax = 2000;

Result<Slug> digest_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error(errno, "open the slug");
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha512_256(), nullptr);
  Slug slug;
  std::string buffer(1u << 18, '\0');
  for (;;) {
    ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_error(errno, "read the slug");
    if (size == 0) break;
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(size));
    slug.length += size;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), digest, &length);
  for (unsigned i = 0; i < length; ++i) {
    slug.id += "0123456789abcdef"[digest[i] >> 4];
    slug.id += "0123456789abcdef"[digest[i] & 15];
  }
  return slug;
}

}  // namespace

Result<Slug> pack_slug(const std::string& tree, const std::string& file, std::int64_t time, Deadline deadline) {
  auto words = process::make_pipe();
  if (!words) return words.error();
  std::string stamp = std::to_string(time);
  auto packer = process::Child::start({"mksquashfs",
                                       tree,
                                       file,
                                       "-noappend",
                                       "-comp",
                                       "zstd",
                                       "-Xcompression-level",
                                       "3",
                                       "-all-time",
                                       stamp,
                                       "-root-time",
                                       stamp,
                                       "-mkfs-time",
                                       stamp,
                                       "-force-uid",
                                       "5000",
                                       "-force-gid",
                                       "5000",
                                       "-root-mode",
                                       "755",
                                       "-no-xattrs",
                                       "-no-progress",
                                       "-quiet",
                                       "-processors",
                                       "2"},
                                      {{words->second.get(), 1}, {words->second.get(), 2}});
  words->second.reset();
  if (!packer) return packer.error();
  std::string said = process::read_to_end(words->first.get(), kWordsBytesMax);
  auto status = packer->wait(deadline);
  if (!status) return status.error().context("mksquashfs");
  if (*status != 0)
    return Error{Code::internal, "mksquashfs failed (exit status " + std::to_string(*status) + "): " + said};
  return digest_file(file);
}

}  // namespace flynn::builder
