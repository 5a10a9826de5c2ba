// The signature of a plugin's file: Ed25519 over "flynn-plugin-v1\0" and the file's SHA-256, kept beside the file in
// FILE.so.sig. What it says and what not: docs/decisions/0010-plugin-signatures.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

struct evp_pkey_st;

namespace flynn::core {

/// One line of a .sig file; several keys may sign one file.
struct PluginSignature {
  std::string digest;  ///< SHA-256 of the signed file, hex
  std::string key_id;
  std::string bytes;  ///< 64
};

std::filesystem::path signature_path(const std::filesystem::path& plugin);
/// invalid_argument names the line. Unknown members are left alone, an unknown "v" is an error.
Result<std::vector<PluginSignature>> parse_signatures(std::string_view text);
std::string signatures_text(const std::vector<PluginSignature>& signatures);

/// An Ed25519 key, public or private. Thread: const functions [any].
class SigningKey {
 public:
  static Result<SigningKey> generate();
  /// PEM as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write it; without a passphrase.
  static Result<SigningKey> private_from_pem(std::string_view pem);
  static Result<SigningKey> public_from_pem(std::string_view pem);

  /// The first 16 hex digits of the public key's SHA-256.
  std::string id() const;
  std::string public_pem() const;
  std::string private_pem() const;
  Result<PluginSignature> sign(const std::string& digest) const;
  /// True when the signature is this key's, for a file of that digest.
  bool verifies(const PluginSignature& signature, const std::string& digest) const;

 private:
  explicit SigningKey(evp_pkey_st* key);
  std::shared_ptr<evp_pkey_st> key_;  // OpenSSL counts its references; immutable
};

}  // namespace flynn::core
