#include "digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

namespace flynn::host {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;

using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Context begin_digest() {
  Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha512_256(), nullptr);
  return context;
}

std::string finish_digest(EVP_MD_CTX* context) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context, raw.data(), &size);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += kHex[raw[i] >> 4];
    hex += kHex[raw[i] & 15];
  }
  return hex;
}

Result<void> write_chunk(int target, const char* data, std::size_t size) {
  while (size > 0) {
    const auto written = ::write(target, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno, "write layer");
    }
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return {};
}

}  // namespace

std::string sha512_256_hex(std::string_view data) {
  auto context = begin_digest();
  EVP_DigestUpdate(context.get(), data.data(), data.size());
  return finish_digest(context.get());
}

Result<std::string> copy_with_digest(int source, int target, std::uint64_t bytes_max) {
  auto context = begin_digest();
  std::vector<char> chunk(kChunkBytes);
  std::uint64_t total = 0;
  while (true) {
    const auto got = ::read(source, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read layer");
    if (got == 0) return finish_digest(context.get());
    total += static_cast<std::uint64_t>(got);
    if (total > bytes_max)
      return Error{Code::invalid_argument, "is longer than the " + std::to_string(bytes_max) + " bytes it should have"};
    EVP_DigestUpdate(context.get(), chunk.data(), static_cast<std::size_t>(got));
    if (auto written = write_chunk(target, chunk.data(), static_cast<std::size_t>(got)); !written)
      return written.error();
  }
}

}  // namespace flynn::host
