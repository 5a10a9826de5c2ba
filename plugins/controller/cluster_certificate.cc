#include "cluster_certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

namespace flynn::controller {
namespace {

constexpr long kDay = 24L * 60 * 60, kAuthorityDays = 3650;
constexpr const char* kAuthorityKey = "cluster/ca";
constexpr const char* kCertificateKey = "routes/certificate";

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

ApiError openssl_error(const std::string& doing) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  return unknown_error(doing + ": " + text.data());
}

std::string text_of_bio(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string pem_of(X509* certificate) {
  Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of_bio(bio.get());
}

std::string pem_of(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of_bio(bio.get());
}

Certificate read_certificate(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

PrivateKey read_key(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return PrivateKey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// With serial number, times, subject and key; not signed.
Certificate draft(EVP_PKEY* key, const std::string& name, long days) {
  Certificate made(X509_new());
  X509_set_version(made.get(), 2);
  std::array<unsigned char, 16> serial{};
  RAND_bytes(serial.data(), static_cast<int>(serial.size()));
  serial[0] &= 0x7f;  // a positive number
  std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made.get()));
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -kDay);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(made.get()), days * kDay);
  X509_set_pubkey(made.get(), key);
  X509_NAME* subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("Flynn"), -1, -1, 0);
  // A common name has 64 characters at most; the alternative names are what counts.
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.substr(0, 64).c_str()), -1, -1, 0);
  return made;
}

Outcome<std::optional<KeyPair>> stored_authority(Context& context) {
  auto stored = context.store.get(kAuthorityKey);
  if (!stored) return stored.error();
  if (!*stored) return std::optional<KeyPair>{};
  return std::optional<KeyPair>({text_of((*stored)->value, "cert"), text_of((*stored)->value, "key")});
}

Outcome<KeyPair> ensure_authority(Context& context, const std::string& domain) {
  auto stored = stored_authority(context);
  if (!stored) return stored.error();
  if (*stored) return **stored;
  auto made = make_authority(domain);
  if (!made) return made.error();
  Change change;
  change.require(kAuthorityKey, 0)
      .put(kAuthorityKey, {{"v", 1}, {"cert", made->cert}, {"key", made->key}, {"created_at", now_text()}});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return made;
}

std::string alternative_names(const ClusterDomains& domains) {
  std::string out = "DNS:" + domains.current + ",DNS:*." + domains.current;
  for (const std::string& former : domains.former) out += ",DNS:" + former + ",DNS:*." + former;
  return out;
}

}  // namespace

Outcome<KeyPair> make_authority(const std::string& cluster) {
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make the key of the cluster's CA");
  Certificate made = draft(key.get(), "Flynn CA of " + cluster, kAuthorityDays);
  X509_set_issuer_name(made.get(), X509_get_subject_name(made.get()));
  bool good = add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash") &&
              X509_sign(made.get(), key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_error("make the cluster's CA");
  return KeyPair{pem_of(made.get()), pem_of(key.get())};
}

Outcome<KeyPair> make_certificate(const KeyPair& authority, const ClusterDomains& domains) {
  Certificate issuer = read_certificate(authority.cert);
  PrivateKey issuer_key = read_key(authority.key);
  if (!issuer || !issuer_key) return openssl_error("read the cluster's CA");
  PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make the key of the cluster's certificate");
  Certificate made = draft(key.get(), domains.current, kAuthorityDays - 1);
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.get()));
  bool good = add_extension(made.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(made.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") &&
              add_extension(made.get(), issuer.get(), NID_ext_key_usage, "serverAuth") &&
              add_extension(made.get(), issuer.get(), NID_authority_key_identifier, "keyid") &&
              add_extension(made.get(), issuer.get(), NID_subject_alt_name, alternative_names(domains)) &&
              X509_sign(made.get(), issuer_key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_error("make the cluster's certificate for " + domains.current);
  return KeyPair{pem_of(made.get()) + authority.cert, pem_of(key.get())};
}

std::string pin_of(const std::string& cert_pem) {
  Certificate leaf = read_certificate(cert_pem);
  if (!leaf) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(leaf.get(), EVP_sha256(), digest.data(), &size);
  std::string out(4 * ((size + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), digest.data(), static_cast<int>(size));
  return out;
}

void write_pin(const Context& context, const std::string& cert) {
  if (context.settings.data_dir.empty()) return;
  std::ofstream(context.settings.data_dir + "/tls_pin", std::ios::trunc) << pin_of(cert) << "\n";
}

Outcome<KeyPair> new_certificate(Context& context, const ClusterDomains& domains) {
  auto authority = stored_authority(context);
  if (!authority) return authority.error();
  if (!*authority) return service_unavailable("the cluster is still being set up");
  return make_certificate(**authority, domains);
}

Verdict install_certificate(Context& context, const std::string& domain, const KeyPair& certificate, Change& change) {
  auto stored = context.store.get(kCertificateKey);
  if (!stored) return stored.error();
  change.require(kCertificateKey, *stored ? (*stored)->mod_revision : 0)
      .put(kCertificateKey, {{"v", 1},
                             {"domain", domain},
                             {"cert", certificate.cert},
                             {"key", certificate.key},
                             {"created_at", now_text()}});
  return std::nullopt;
}

Verdict ensure_certificates(Context& context, const ClusterDomains& domains) {
  auto authority = ensure_authority(context, domains.current);
  if (!authority) return authority.error();
  auto stored = context.store.get(kCertificateKey);
  if (!stored) return stored.error();
  if (*stored && text_of((*stored)->value, "domain") == domains.current) {
    write_pin(context, text_of((*stored)->value, "cert"));
    return std::nullopt;
  }
  auto made = make_certificate(*authority, domains);
  if (!made) return made.error();
  Change change;
  if (Verdict bad = install_certificate(context, domains.current, *made, change)) return bad;
  if (Verdict bad = context.store.must_commit(change)) return bad;
  write_pin(context, made->cert);
  context.log.info("certificate_made", {{"domain", domains.current}, {"pin", pin_of(made->cert)}});
  return std::nullopt;
}

Outcome<std::string> authority_certificate(Context& context) {
  auto stored = context.store.get(kAuthorityKey);
  if (!stored) return stored.error();
  return *stored ? text_of((*stored)->value, "cert") : std::string();
}

}  // namespace flynn::controller
