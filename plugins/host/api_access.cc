#include "api_access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>

#include "peer_uid.h"

namespace flynn::host {
namespace {

constexpr std::size_t kCredentialsBytesMax = 4096;

using Digest = std::array<unsigned char, 32>;

// Of equal length whatever is compared: the time tells nothing of the key, not even its length.
Digest digest_of(std::string_view text) {
  Digest out{};
  unsigned size = 0;
  ::EVP_Digest(text.data(), text.size(), out.data(), &size, ::EVP_sha256(), nullptr);
  return out;
}

std::string password_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "Basic ";
  if (!authorization.starts_with(kScheme)) return {};
  const std::string encoded(authorization.substr(kScheme.size()));
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() > kCredentialsBytesMax) return {};
  std::string decoded(encoded.size() / 4 * 3, '\0');
  const int size =
      ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                        reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (size < 0) return {};
  const std::size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with("=") ? 1 : 0;
  decoded.resize(static_cast<std::size_t>(size) - padding);
  const auto colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(colon + 1);
}

}  // namespace

bool has_key(std::string_view authorization, const std::vector<std::string>& keys) {
  const auto password = password_of(authorization);
  if (password.empty()) return false;
  const auto given = digest_of(password);
  int matches = 0;
  for (const auto& key : keys) {
    const auto wanted = digest_of(key);
    matches += ::CRYPTO_memcmp(given.data(), wanted.data(), given.size()) == 0 && !key.empty() ? 1 : 0;
  }
  return matches > 0;
}

Admission admit(const http::HttpRequest& request, const std::vector<std::string>& keys) {
  if (!request.origin.empty()) return Admission::browser;
  if (has_key(request.authorization, keys)) return Admission::admitted;
  const auto uid = peer_uid(request.connection);
  return uid && (*uid == 0 || *uid == ::geteuid()) ? Admission::admitted : Admission::stranger;
}

}  // namespace flynn::host
