#include "api_access.h"

#include <arpa/inet.h>
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

// "127.0.0.1:1113", "[::1]:1113", "localhost", or none at all, as HTTP/1.0 clients send it.
bool names_this_machine(std::string_view host) {
  if (host.empty() || host == "localhost" || host.starts_with("localhost:")) return true;
  const bool wide = host.front() == '[';
  const auto end = wide ? host.find(']') : host.find(':');
  if (wide && end == std::string_view::npos) return false;
  const std::string address(host.substr(wide ? 1 : 0, wide ? end - 1 : end));
  in6_addr parsed{};
  return ::inet_pton(wide ? AF_INET6 : AF_INET, address.c_str(), &parsed) == 1;
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

Admission admit(const http::HttpRequest& request, const std::vector<std::string>& keys, bool trust_own_process) {
  if (!request.origin.empty()) return Admission::browser;
  if (has_key(request.authorization, keys)) return Admission::admitted;
  if (!names_this_machine(request.host)) return Admission::stranger;
  const auto peer = peer_of(request.connection);
  if (!peer || (peer->uid != 0 && peer->uid != ::geteuid())) return Admission::stranger;
  if (!trust_own_process && is_our_socket(peer->inode)) return Admission::stranger;
  return Admission::admitted;
}

}  // namespace flynn::host
