// A client that speaks TLS, and certificates to speak it with, for tests.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "flynn/sdk/json.h"
#include "testing/peers.h"

namespace flynn::router::testing {

struct Certificate {
  std::string cert, key;  // PEM
};
/// Signed by itself, for that name.
Certificate certificate_for(const std::string& name);
/// A value of the store: a route of `domain` with its certificate, or the default when `domain` is empty.
std::string certificate_kv(const std::string& id, const std::string& domain, const Certificate& certificate);

/// Blocking, ten seconds for everything. Trusts everybody: tests look at who it was.
class TlsClient {
 public:
  TlsClient(int port, const std::string& server_name);
  bool connected() const { return connected_; }
  /// The common name of the server's certificate.
  std::string server() const;
  std::string protocol() const;
  bool send(std::string_view bytes);
  /// Until the server ends; `orderly` is false when it did so without saying so.
  std::string read_to_end(bool& orderly);
  /// Until `size` bytes have come.
  std::string read(std::size_t size);

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  Peer peer_;
  bool connected_ = false;
};

}  // namespace flynn::router::testing
