#include "tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

namespace flynn::logs {

void TlsSession::Free::operator()(ssl_st* ssl) const { ::SSL_free(ssl); }
void TlsSession::Free::operator()(ssl_ctx_st* context) const { ::SSL_CTX_free(context); }

TlsSession::~TlsSession() = default;

Error TlsSession::failure(std::string_view doing) const {
  const auto code = ::ERR_peek_last_error();
  const char* words = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  std::string message = std::string(doing) + ": " + (words == nullptr ? "TLS failed" : words);
  const long verified = ssl_ ? ::SSL_get_verify_result(ssl_.get()) : X509_V_OK;
  if (verified != X509_V_OK && ssl_ && ::SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE)
    message += std::string(": ") + ::X509_verify_cert_error_string(verified);
  return Error{Code::unavailable, message};
}

Result<std::unique_ptr<TlsSession>> TlsSession::open(const std::string& host, bool insecure) {
  ::ERR_clear_error();
  std::unique_ptr<TlsSession> session(new TlsSession);
  session->context_.reset(::SSL_CTX_new(::TLS_client_method()));
  if (!session->context_) return session->failure("prepare TLS");
  auto* context = session->context_.get();
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);  // a write never waits for the peer
  ::SSL_CTX_set_verify(context, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!insecure && ::SSL_CTX_set_default_verify_paths(context) != 1)
    return session->failure("read the system's certificates");
  session->ssl_.reset(::SSL_new(context));
  BIO* from_peer = ::BIO_new(::BIO_s_mem());
  BIO* to_peer = ::BIO_new(::BIO_s_mem());
  if (!session->ssl_ || from_peer == nullptr || to_peer == nullptr) {
    ::BIO_free(from_peer);
    ::BIO_free(to_peer);
    return session->failure("prepare TLS");
  }
  auto* ssl = session->ssl_.get();
  ::SSL_set_bio(ssl, from_peer, to_peer);
  ::SSL_set_connect_state(ssl);
  const bool is_address = ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), host.c_str()) == 1;
  if (!is_address && (::SSL_set1_host(ssl, host.c_str()) != 1 || ::SSL_set_tlsext_host_name(ssl, host.c_str()) != 1))
    return session->failure("ask for the certificate of " + host);
  return session;
}

Result<bool> TlsSession::shake_hands() {
  ::ERR_clear_error();
  const int done = ::SSL_do_handshake(ssl_.get());
  if (done == 1) return true;
  if (::SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ) return false;
  return failure("TLS handshake");
}

void TlsSession::feed(std::string_view from_peer) {
  ::BIO_write(::SSL_get_rbio(ssl_.get()), from_peer.data(), static_cast<int>(from_peer.size()));
}

Result<void> TlsSession::encrypt(std::string_view text) {
  ::ERR_clear_error();
  if (text.empty() || ::SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0) return {};
  return failure("encrypt");
}

Result<bool> TlsSession::drain() {
  ::ERR_clear_error();
  std::array<char, 4096> dropped;
  int got = 0;
  while ((got = ::SSL_read(ssl_.get(), dropped.data(), static_cast<int>(dropped.size()))) > 0) {
  }
  const int why = ::SSL_get_error(ssl_.get(), got);
  if (why == SSL_ERROR_WANT_READ) return true;
  if (why == SSL_ERROR_ZERO_RETURN) return false;
  return failure("read");
}

void TlsSession::say_goodbye() {
  ::ERR_clear_error();
  ::SSL_shutdown(ssl_.get());
}

std::string TlsSession::take_output() {
  auto* bio = ::SSL_get_wbio(ssl_.get());
  std::string output(::BIO_ctrl_pending(bio), '\0');
  if (output.empty()) return output;
  const int got = ::BIO_read(bio, output.data(), static_cast<int>(output.size()));
  output.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return output;
}

}  // namespace flynn::logs
