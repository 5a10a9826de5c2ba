#include "plugin_signature.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "flynn/sdk/json.h"
#include "sha256.h"

namespace flynn::core {
namespace {

constexpr std::size_t kSignatureSize = 64, kPublicKeySize = 32;
constexpr std::size_t kSignaturesMax = 16;
constexpr std::int64_t kFormat = 1;

using Bio = std::unique_ptr<BIO, void (*)(BIO*)>;

Bio bio_over(std::string_view text) {
  return {::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), [](BIO* bio) { ::BIO_free(bio); }};
}

Bio empty_bio() {
  return {::BIO_new(::BIO_s_mem()), [](BIO* bio) { ::BIO_free(bio); }};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// Without it OpenSSL would ask for a passphrase on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

// Another use of the same key can never be mistaken for this one.
std::string signed_message(const std::string& digest) {
  constexpr std::string_view prefix("flynn-plugin-v1\0", 16);
  return std::string(prefix) + digest;
}

std::string base64(std::string_view bytes) {
  std::array<unsigned char, 4 * kSignatureSize> text{};
  const int size = ::EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

// 64 bytes are 86 letters and "==".
std::string signature_from_base64(std::string_view text) {
  constexpr std::size_t kTextSize = 88;
  std::array<unsigned char, kTextSize> bytes{};
  if (text.size() != kTextSize || !text.ends_with("==")) return {};
  if (::EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), kTextSize) < 0) return {};
  return {reinterpret_cast<const char*>(bytes.data()), kSignatureSize};
}

}  // namespace

std::filesystem::path signature_path(const std::filesystem::path& plugin) { return plugin.string() + ".sig"; }

Result<std::vector<PluginSignature>> parse_signatures(std::string_view text) {
  std::vector<PluginSignature> signatures;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto wrong = [&](const std::string& what) {
      return Error{Code::invalid_argument, "line " + std::to_string(number) + ": " + what};
    };
    auto document = parse_json_object(line);
    if (!document) return wrong(document.error().message);
    if (int_or(*document, "v") != kFormat) return wrong("its \"v\" is not 1: it was made by a newer flynn");
    PluginSignature signature{string_or(*document, "sha256"), string_or(*document, "key"),
                              signature_from_base64(string_or(*document, "signature"))};
    if (signature.bytes.empty()) return wrong("\"signature\" is not the base64 of 64 bytes");
    if (signatures.size() == kSignaturesMax) return wrong("more than 16 signatures");
    signatures.push_back(std::move(signature));
  }
  return signatures;
}

std::string signatures_text(const std::vector<PluginSignature>& signatures) {
  std::string text;
  for (const auto& signature : signatures)
    text += json::serialize(json::object{{"v", kFormat},
                                         {"key", signature.key_id},
                                         {"sha256", signature.digest},
                                         {"signature", base64(signature.bytes)}}) +
            "\n";
  return text;
}

SigningKey::SigningKey(evp_pkey_st* key) : key_(key, ::EVP_PKEY_free) {}

Result<SigningKey> SigningKey::generate() {
  evp_pkey_st* key = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) return Error{Code::internal, "OpenSSL could not make an Ed25519 key"};
  return SigningKey(key);
}

Result<SigningKey> SigningKey::private_from_pem(std::string_view pem) {
  SigningKey key(::PEM_read_bio_PrivateKey(bio_over(pem).get(), nullptr, no_passphrase, nullptr));
  if (!key.key_ || ::EVP_PKEY_get_base_id(key.key_.get()) != EVP_PKEY_ED25519)
    return Error{Code::invalid_argument,
                 "it is no Ed25519 private key in PEM without a passphrase: make one with 'flynn plugin keygen'"};
  return key;
}

Result<SigningKey> SigningKey::public_from_pem(std::string_view pem) {
  SigningKey key(::PEM_read_bio_PUBKEY(bio_over(pem).get(), nullptr, no_passphrase, nullptr));
  if (!key.key_ || ::EVP_PKEY_get_base_id(key.key_.get()) != EVP_PKEY_ED25519)
    return Error{Code::invalid_argument, "it is no Ed25519 public key in PEM"};
  return key;
}

std::string SigningKey::id() const {
  std::array<unsigned char, kPublicKeySize> raw{};
  std::size_t size = raw.size();
  if (::EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &size) != 1) return {};
  return sha256_hex({reinterpret_cast<const char*>(raw.data()), size}).substr(0, 16);
}

std::string SigningKey::public_pem() const {
  const auto bio = empty_bio();
  ::PEM_write_bio_PUBKEY(bio.get(), key_.get());
  return text_of(bio.get());
}

std::string SigningKey::private_pem() const {
  const auto bio = empty_bio();
  ::PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

Result<PluginSignature> SigningKey::sign(const std::string& digest) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free);
  const auto message = signed_message(digest);
  std::array<unsigned char, kSignatureSize> bytes{};
  std::size_t size = bytes.size();
  if (::EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      ::EVP_DigestSign(context.get(), bytes.data(), &size, reinterpret_cast<const unsigned char*>(message.data()),
                       message.size()) != 1)
    return Error{Code::internal, "OpenSSL could not sign with this key"};
  return PluginSignature{digest, id(), {reinterpret_cast<const char*>(bytes.data()), size}};
}

bool SigningKey::verifies(const PluginSignature& signature, const std::string& digest) const {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free);
  const auto message = signed_message(digest);
  return ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         ::EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.bytes.data()),
                            signature.bytes.size(), reinterpret_cast<const unsigned char*>(message.data()),
                            message.size()) == 1;
}

}  // namespace flynn::core
