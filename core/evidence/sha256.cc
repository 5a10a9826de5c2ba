#include "sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

Sha256::Sha256() : context_(::EVP_MD_CTX_new()) { ::EVP_DigestInit_ex(context_, ::EVP_sha256(), nullptr); }

Sha256::~Sha256() { ::EVP_MD_CTX_free(context_); }

void Sha256::update(std::string_view bytes) { ::EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  ::EVP_DigestFinal_ex(context_, bytes.data(), &size);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

Result<std::string> sha256_of_file(const std::filesystem::path& file) {
  // A pipe would be waited for without end, a device read without one.
  const UniqueFd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!source) return errno_error(errno, "open " + file.string());
  struct stat status {};
  if (::fstat(source.get(), &status) != 0) return errno_error(errno, "stat " + file.string());
  if (!S_ISREG(status.st_mode)) return Error{Code::invalid_argument, file.string() + ": not a regular file"};
  Sha256 digest;
  std::array<char, 65536> chunk{};
  while (true) {
    const ssize_t got = ::read(source.get(), chunk.data(), chunk.size());
    if (got < 0) return errno_error(errno, "read " + file.string());
    if (got == 0) return digest.hex();
    digest.update({chunk.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace flynn::core
