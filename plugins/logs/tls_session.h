// TlsSession: the client's half of one TLS connection, without its socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

struct ssl_st;
struct ssl_ctx_st;

namespace flynn::logs {

/// Bytes go through memory: its owner carries them to and from the socket, so deadlines, stop and signals are in one
/// place for plain and encrypted connections. Errors are `unavailable` and in OpenSSL's words. Thread: one at a time.
class TlsSession {
 public:
  /// `host`: a name or an address that the certificate must be for, vouched for by the system's CAs; with `insecure`
  /// any certificate will do.
  static Result<std::unique_ptr<TlsSession>> open(const std::string& host, bool insecure);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// True when the handshake is done; false: it needs more of the peer. Either way, send take_output() on.
  Result<bool> shake_hands();
  void feed(std::string_view from_peer);
  /// Encrypts; the result is in take_output().
  Result<void> encrypt(std::string_view text);
  /// Reads what the peer sent and drops it. False: the peer has ended the connection.
  Result<bool> drain();
  void say_goodbye();
  std::string take_output();

 private:
  TlsSession() = default;
  Error failure(std::string_view doing) const;

  struct Free {
    void operator()(ssl_st* ssl) const;
    void operator()(ssl_ctx_st* context) const;
  };
  std::unique_ptr<ssl_ctx_st, Free> context_;
  std::unique_ptr<ssl_st, Free> ssl_;  // owns both of its memory BIOs
};

}  // namespace flynn::logs
