// ValueCipher: values at rest, encrypted and bound to the place they were written at.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

struct evp_cipher_ctx_st;

namespace flynn::store {

inline constexpr std::size_t kCipherKeyBytes = 32;
using CipherKey = std::array<unsigned char, kCipherKeyBytes>;

/// Reads the key file (32 raw bytes). With `may_create`, an absent one is made: mode 0600, random, synced to disk.
/// failed_precondition when it is absent and must not be made, has another size, or can be read by others.
Result<CipherKey> load_key(const std::string& path, bool may_create);

/// AES-256-GCM. A sealed text is nonce (12, random) + ciphertext + tag (16). `place` is authenticated, not stored: a
/// value that was moved to another key or record does not open. Thread: one at a time per object.
class ValueCipher {
 public:
  explicit ValueCipher(const CipherKey& key);
  ~ValueCipher();
  ValueCipher(const ValueCipher&) = delete;
  ValueCipher& operator=(const ValueCipher&) = delete;

  Result<std::string> seal(std::string_view place, std::string_view text);
  /// `internal` when the text was altered or the key is another.
  Result<std::string> open(std::string_view place, std::string_view sealed);

 private:
  CipherKey key_;
  evp_cipher_ctx_st* seal_context_;
  evp_cipher_ctx_st* open_context_;
};

}  // namespace flynn::store
