#include "testing/tls_client.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <csignal>

namespace flynn::router::testing {
namespace {

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  ::BIO_free(bio);
  return text;
}

}  // namespace

Certificate certificate_for(const std::string& name) {
  EVP_PKEY* key = ::EVP_EC_gen("P-256");
  X509* made = ::X509_new();
  ::ASN1_INTEGER_set(::X509_get_serialNumber(made), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(made), 0);
  ::X509_gmtime_adj(::X509_getm_notAfter(made), 3600);
  ::X509_set_pubkey(made, key);
  X509_NAME* subject = ::X509_get_subject_name(made);
  ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
  ::X509_set_issuer_name(made, subject);
  ::X509_sign(made, key, ::EVP_sha256());
  BIO* cert = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(cert, made);
  BIO* private_key = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PrivateKey(private_key, key, nullptr, nullptr, 0, nullptr, nullptr);
  ::X509_free(made);
  ::EVP_PKEY_free(key);
  return {text_of(cert), text_of(private_key)};
}

std::string certificate_kv(const std::string& id, const std::string& domain, const Certificate& certificate) {
  json::object pair{{"cert", certificate.cert}, {"key", certificate.key}};
  json::object value = domain.empty() ? pair
                                      : json::object{{"v", 1},
                                                     {"domain", domain},
                                                     {"path", "/"},
                                                     {"service", "app-web"},
                                                     {"parent_ref", "controller/apps/a1"},
                                                     {"certificate", pair}};
  return json::serialize(json::object{{"key", domain.empty() ? "routes/certificate" : "routes/http/" + id},
                                      {"create_revision", 1},
                                      {"mod_revision", 1},
                                      {"version", 1},
                                      {"value", value}});
}

TlsClient::TlsClient(int port, const std::string& server_name)
    : context_(::SSL_CTX_new(::TLS_client_method()), ::SSL_CTX_free),
      ssl_(::SSL_new(context_.get()), ::SSL_free),
      peer_(Peer::connect(port)) {
  std::signal(SIGPIPE, SIG_IGN);
  static constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
  ::SSL_set_alpn_protos(ssl_.get(), kProtocols, sizeof kProtocols - 1);
  ::SSL_set_fd(ssl_.get(), peer_.fd());
  ::SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str());
  connected_ = ::SSL_connect(ssl_.get()) == 1;
}

std::string TlsClient::server() const {
  X509* shown = ::SSL_get1_peer_certificate(ssl_.get());
  if (shown == nullptr) return {};
  char name[256] = "";
  ::X509_NAME_get_text_by_NID(::X509_get_subject_name(shown), NID_commonName, name, sizeof name);
  ::X509_free(shown);
  return name;
}

std::string TlsClient::protocol() const {
  const unsigned char* data = nullptr;
  unsigned size = 0;
  ::SSL_get0_alpn_selected(ssl_.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

bool TlsClient::send(std::string_view bytes) {
  return ::SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
}

std::string TlsClient::read_to_end(bool& orderly) {
  std::string all;
  char chunk[16384];
  int got = 0;
  while ((got = ::SSL_read(ssl_.get(), chunk, sizeof chunk)) > 0) all.append(chunk, static_cast<std::size_t>(got));
  orderly = ::SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
  return all;
}

std::string TlsClient::read(std::size_t size) {
  std::string all;
  char chunk[16384];
  while (all.size() < size) {
    const int got = ::SSL_read(ssl_.get(), chunk, static_cast<int>(std::min(sizeof chunk, size - all.size())));
    if (got <= 0) break;
    all.append(chunk, static_cast<std::size_t>(got));
  }
  return all;
}

}  // namespace flynn::router::testing
