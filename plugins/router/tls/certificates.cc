#include "tls/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <functional>

namespace flynn::router {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

Error tls_error(const std::string& doing) {
  std::array<char, 256> text{};
  ::ERR_error_string_n(::ERR_peek_last_error(), text.data(), text.size());
  ::ERR_clear_error();
  return Error{Code::invalid_argument, doing + ": " + text.data()};
}

int refuse_password(char*, int, int, void*) { return -1; }

// Only HTTP/1.1 is spoken behind.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                    void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (::SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

TlsContext new_context() {
  TlsContext context(::SSL_CTX_new(::TLS_server_method()), ::SSL_CTX_free);
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_options(context.get(),
                        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  static constexpr unsigned char kSession[] = "flynn";
  ::SSL_CTX_set_session_id_context(context.get(), kSession, sizeof kSession - 1);
  ::SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol, nullptr);
  return context;
}

Result<TlsContext> context_of(const std::string& chain_pem, const std::string& key_pem) {
  auto context = new_context();
  const Bio chain(::BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  const X509Certificate leaf(::PEM_read_bio_X509(chain.get(), nullptr, refuse_password, nullptr));
  if (!leaf || ::SSL_CTX_use_certificate(context.get(), leaf.get()) != 1) return tls_error("read the certificate");
  while (X509* more = ::PEM_read_bio_X509(chain.get(), nullptr, refuse_password, nullptr))
    if (::SSL_CTX_add0_chain_cert(context.get(), more) != 1) ::X509_free(more);
  ::ERR_clear_error();  // the end of the text
  const Bio text(::BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const PrivateKey key(::PEM_read_bio_PrivateKey(text.get(), nullptr, refuse_password, nullptr));
  if (!key || ::SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) return tls_error("read the certificate's key");
  return context;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

Certificates::Certificates() : front_(new_context()) {
  ::SSL_CTX_set_tlsext_servername_callback(front_.get(), &Certificates::choose);
  ::SSL_CTX_set_tlsext_servername_arg(front_.get(), this);
}

int Certificates::choose(SSL* ssl, int* alert, void* self) {
  const char* name = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto context = static_cast<const Certificates*>(self)->find(name == nullptr ? "" : lower_case(name));
  if (!context) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  ::SSL_set_SSL_CTX(ssl, context.get());  // takes a reference of its own
  return SSL_TLSEXT_ERR_OK;
}

Result<void> Certificates::set_default(const std::string& chain_pem, const std::string& key_pem) {
  TlsContext made;
  if (!chain_pem.empty()) {
    auto context = context_of(chain_pem, key_pem);
    if (!context) return context.error();
    made = std::move(*context);
  }
  const std::lock_guard lock(mutex_);
  default_ = std::move(made);
  return {};
}

Result<void> Certificates::put(const std::string& id, const std::string& domain, const std::string& chain_pem,
                               const std::string& key_pem) {
  if (chain_pem.empty()) {
    remove(id);
    return {};
  }
  auto context = context_of(chain_pem, key_pem);
  if (!context) return context.error();
  const std::lock_guard lock(mutex_);
  remove_locked(id);
  by_domain_.emplace(lower_case(domain), Entry{id, std::move(*context)});
  return {};
}

void Certificates::remove_locked(const std::string& id) {
  std::erase_if(by_domain_, [&](const auto& entry) { return entry.second.id == id; });
}

void Certificates::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  remove_locked(id);
}

void Certificates::keep_only(const std::function<bool(const std::string& id)>& wanted) {
  const std::lock_guard lock(mutex_);
  std::erase_if(by_domain_, [&](const auto& entry) { return !wanted(entry.second.id); });
}

TlsContext Certificates::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  if (const auto exact = by_domain_.find(name); exact != by_domain_.end()) return exact->second.context;
  if (const auto dot = name.find('.'); dot != std::string::npos)
    if (const auto parent = by_domain_.find("*" + name.substr(dot)); parent != by_domain_.end())
      return parent->second.context;
  return default_;
}

}  // namespace flynn::router
