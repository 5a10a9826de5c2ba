#include "value_cipher.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "flynn/sdk/unique_fd.h"

namespace flynn::store {
namespace {

constexpr int kNonceBytes = 12;
constexpr int kTagBytes = 16;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// In a cage the folder is not ours, only the file, which the host made empty. One that is cut by a power failure is
// found at the next start, and no value was sealed with it yet.
Result<CipherKey> fill_key(const std::string& path, const CipherKey& key) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return errno_error(errno, "make the key " + path);
  if (::write(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()) || ::fsync(file.get()) != 0)
    return errno_error(errno, "write the key " + path);
  return key;
}

// The name appears only when the content is on disk, so a crash never leaves a short key behind.
Result<CipherKey> create_key(const std::string& path) {
  CipherKey key;
  if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1)
    return Error{Code::internal, "make the key " + path + ": OpenSSL has no random bytes"};
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());
  UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file && errno == EACCES) return fill_key(path, key);
  if (!file) return errno_error(errno, "make the key " + temporary);
  if (::write(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()) || ::fsync(file.get()) != 0)
    return errno_error(errno, "write the key " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(errno, "name the key " + path);
  const auto slash = path.find_last_of('/');
  UniqueFd folder(
      ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "sync the folder of the key " + path);
  return key;
}

}  // namespace

Result<CipherKey> load_key(const std::string& path, bool may_create) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) {
    if (may_create) return create_key(path);
    return Error{Code::failed_precondition,
                 "the key file " + path + " is absent but the store exists: put the key back, it can't be made again"};
  }
  if (!file) return errno_error(errno, "open the key " + path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return errno_error(errno, "stat the key " + path);
  if (may_create && S_ISREG(info.st_mode) && info.st_size == 0) return create_key(path);
  if (!S_ISREG(info.st_mode) || info.st_size != static_cast<off_t>(kCipherKeyBytes))
    return Error{Code::failed_precondition, "the key file " + path + " is not a file of 32 bytes"};
  if ((info.st_mode & 077) != 0)
    return Error{Code::failed_precondition, "the key file " + path + " can be read by others: chmod 600 it"};
  CipherKey key;
  if (::read(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()))
    return errno_error(errno, "read the key " + path);
  return key;
}

ValueCipher::ValueCipher(const CipherKey& key)
    : key_(key), seal_context_(EVP_CIPHER_CTX_new()), open_context_(EVP_CIPHER_CTX_new()) {
  // The key schedule is set up once; each record only brings its nonce.
  EVP_EncryptInit_ex(seal_context_, EVP_aes_256_gcm(), nullptr, key_.data(), nullptr);
  EVP_DecryptInit_ex(open_context_, EVP_aes_256_gcm(), nullptr, key_.data(), nullptr);
}

ValueCipher::~ValueCipher() {
  EVP_CIPHER_CTX_free(seal_context_);
  EVP_CIPHER_CTX_free(open_context_);
  OPENSSL_cleanse(key_.data(), key_.size());
}

Result<std::string> ValueCipher::seal(std::string_view place, std::string_view text) {
  std::string sealed(kNonceBytes + text.size() + kTagBytes, '\0');
  unsigned char* out = bytes_of(sealed);
  int length = 0;
  const bool sealed_ok =
      RAND_bytes(out, kNonceBytes) == 1 && EVP_EncryptInit_ex(seal_context_, nullptr, nullptr, nullptr, out) == 1 &&
      EVP_EncryptUpdate(seal_context_, nullptr, &length, bytes_of(place), static_cast<int>(place.size())) == 1 &&
      EVP_EncryptUpdate(seal_context_, out + kNonceBytes, &length, bytes_of(text), static_cast<int>(text.size())) ==
          1 &&
      EVP_EncryptFinal_ex(seal_context_, out + kNonceBytes + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(seal_context_, EVP_CTRL_GCM_GET_TAG, kTagBytes, out + kNonceBytes + text.size()) == 1;
  if (!sealed_ok) return Error{Code::internal, "encrypt a value: OpenSSL failed"};
  return sealed;
}

Result<std::string> ValueCipher::open(std::string_view place, std::string_view sealed) {
  if (sealed.size() < kNonceBytes + kTagBytes) return Error{Code::internal, "decrypt a value: it is cut short"};
  std::string text(sealed.size() - kNonceBytes - kTagBytes, '\0');
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const unsigned char* in = bytes_of(sealed);
  int length = 0;
  const bool opened =
      EVP_DecryptInit_ex(open_context_, nullptr, nullptr, nullptr, in) == 1 &&
      EVP_DecryptUpdate(open_context_, nullptr, &length, bytes_of(place), static_cast<int>(place.size())) == 1 &&
      EVP_DecryptUpdate(open_context_, bytes_of(text), &length, in + kNonceBytes, static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(open_context_, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(open_context_, bytes_of(text) + length, &length) == 1;
  if (!opened)
    return Error{Code::internal, "decrypt a value: it was altered, or the key is not the one it was written with"};
  return text;
}

}  // namespace flynn::store
