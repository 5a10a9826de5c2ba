#include "tls/tls_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace flynn::router {
namespace {

bool only_waits(int ssl_error) { return ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE; }

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

TlsConnection::TlsConnection(UniqueFd client, std::string ip, SSL_CTX* context)
    : client_(std::move(client)), ip_(std::move(ip)), ssl_(::SSL_new(context), ::SSL_free) {
  if (!ssl_ || ::SSL_set_fd(ssl_.get(), client_.get()) != 1) {
    broken_ = true;
    return;
  }
  ::SSL_set_accept_state(ssl_.get());
}

TlsConnection::~TlsConnection() = default;

bool TlsConnection::shake() {
  ::ERR_clear_error();
  const int result = ::SSL_do_handshake(ssl_.get());
  if (result != 1) {
    broken_ = !only_waits(::SSL_get_error(ssl_.get(), result));
    ::ERR_clear_error();
    return false;
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    broken_ = true;
    return false;
  }
  plain_.reset(ends[0]);
  other_end_.reset(ends[1]);
  in_ = std::make_unique<Buffer>();
  out_ = std::make_unique<Buffer>();
  shaken_ = true;
  return true;
}

// One step from the client to the plain side; true when something moved.
bool TlsConnection::inwards() {
  bool moved = false;
  if (in_->empty() && !client_ended_) {
    ::ERR_clear_error();
    const int got = ::SSL_read(ssl_.get(), in_->bytes.data(), static_cast<int>(in_->bytes.size()));
    if (got > 0) {
      in_->begin = 0;
      in_->end = static_cast<std::size_t>(got);
      moved = true;
    } else {
      const int error = ::SSL_get_error(ssl_.get(), got);
      if (error == SSL_ERROR_ZERO_RETURN)
        client_ended_ = true;
      else if (!only_waits(error))
        client_ended_ = broken_ = true;
      ::ERR_clear_error();
      if (client_ended_) ::shutdown(plain_.get(), SHUT_WR);
    }
  }
  if (in_->empty()) return moved;
  const auto sent =
      ::send(plain_.get(), in_->bytes.data() + in_->begin, in_->end - in_->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) {
    in_->begin += static_cast<std::size_t>(sent);
    return true;
  }
  if (!would_block()) in_->begin = in_->end;  // nobody reads there any more; its answer may still come
  return moved;
}

bool TlsConnection::outwards() {
  bool moved = false;
  if (out_->empty() && !plain_ended_) {
    const auto got = ::recv(plain_.get(), out_->bytes.data(), out_->bytes.size(), MSG_DONTWAIT);
    if (got > 0) {
      out_->begin = 0;
      out_->end = static_cast<std::size_t>(got);
      moved = true;
    } else if (got == 0) {
      plain_ended_ = true;
    } else if (!would_block()) {
      plain_ended_ = broken_ = true;  // the answer was broken off: the client must not take it for the whole
    }
  }
  if (!out_->empty()) {
    ::ERR_clear_error();
    const int sent =
        ::SSL_write(ssl_.get(), out_->bytes.data() + out_->begin, static_cast<int>(out_->end - out_->begin));
    if (sent > 0) {
      out_->begin += static_cast<std::size_t>(sent);
      return true;
    }
    broken_ = broken_ || !only_waits(::SSL_get_error(ssl_.get(), sent));
    ::ERR_clear_error();
    return moved;
  }
  if (plain_ended_ && end_->broken_off) broken_ = true;
  if (plain_ended_ && !broken_ && !closing_) {
    (void)::SSL_shutdown(ssl_.get());
    ::ERR_clear_error();
    ::shutdown(client_.get(), SHUT_WR);
    closing_ = true;
    since_ = std::chrono::steady_clock::now();
  }
  return moved;
}

bool TlsConnection::pump() {
  if (broken_) return false;
  if (!shaken_ && !shake()) return !broken_;
  bool moved = true;
  while (moved && !broken_) {
    moved = inwards();
    moved = outwards() || moved;
  }
  // Both have said all: what was unread would turn the end into a reset.
  return !broken_ && !(closing_ && client_ended_);
}

}  // namespace flynn::router
