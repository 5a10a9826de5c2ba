// TlsConnection: one client that speaks TLS, and the plain end of it. Moves bytes as far as both sides go.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "engine/secure_end.h"
#include "flynn/sdk/unique_fd.h"
#include "tls/certificates.h"

namespace flynn::router {

/// Thread: its loop.
class TlsConnection {
 public:
  TlsConnection(UniqueFd client, std::string ip, SSL_CTX* context);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  /// Goes as far as it can without blocking. False: it is over.
  bool pump();
  /// After pump: the handshake has succeeded and nobody has taken the other plain end yet. Invalid otherwise.
  UniqueFd take_plain_end() { return std::move(other_end_); }
  /// For who takes it.
  const std::shared_ptr<SecureEnd>& end() const { return end_; }
  bool shaken() const { return shaken_; }

  int client() const { return client_.get(); }
  int plain() const { return plain_.get(); }
  const std::string& ip() const { return ip_; }
  std::chrono::steady_clock::time_point since() const { return since_; }
  /// It has said that it ends; what comes from the client is waited for no longer.
  bool closing() const { return closing_; }

 private:
  struct Buffer {
    std::array<char, 16384> bytes;
    std::size_t begin = 0, end = 0;
    bool empty() const { return begin == end; }
  };
  bool shake();
  bool inwards();
  bool outwards();

  UniqueFd client_, plain_, other_end_;
  std::string ip_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  std::shared_ptr<SecureEnd> end_ = std::make_shared<SecureEnd>();
  std::unique_ptr<Buffer> in_, out_;  // from client, to client
  bool shaken_ = false, client_ended_ = false, plain_ended_ = false, closing_ = false, broken_ = false;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace flynn::router
