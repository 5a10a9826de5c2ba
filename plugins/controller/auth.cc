#include "auth.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/uuid.h"

namespace flynn::controller {
namespace {

constexpr unsigned kKeyBytes = 16;

using Digest = std::array<unsigned char, 32>;

Digest digest_of(std::string_view text) {
  Digest out{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr);
  return out;
}

}  // namespace

std::string password_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "Basic ";
  if (!authorization.starts_with(kScheme)) return {};
  std::string encoded(authorization.substr(kScheme.size()));
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() > 4096) return {};
  std::string decoded(encoded.size() / 4 * 3, '\0');
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                             reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (size < 0) return {};
  std::size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with("=") ? 1 : 0;
  decoded.resize(static_cast<std::size_t>(size) - padding);
  std::size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(colon + 1);
}

bool matches_any(std::string_view password, const std::vector<std::string>& keys) {
  if (password.empty()) return false;
  Digest given = digest_of(password);
  int matches = 0;
  for (const std::string& key : keys) {
    Digest wanted = digest_of(key);
    matches += CRYPTO_memcmp(given.data(), wanted.data(), given.size()) == 0 && !key.empty() ? 1 : 0;
  }
  return matches > 0;
}

Result<std::string> read_or_make_key(const std::string& path) {
  std::string key;
  if (std::ifstream file(path); file && std::getline(file, key) && !key.empty()) return key;
  return write_new_key(path);
}

Result<std::string> write_new_key(const std::string& path) {
  std::string key = random_hex(kKeyBytes);
  std::string temporary = path + ".new";
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return errno_error(errno, "create " + temporary);
  std::string line = key + "\n";
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(fd.get()) != 0) {
    return errno_error(errno, "write " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(errno, "rename to " + path);
  return key;
}

}  // namespace flynn::controller
