// Certificates: which certificate a client gets for the name that it asks for (SNI).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "flynn/sdk/result.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace flynn::router {

/// The context of one certificate; shared with the connections that use it.
using TlsContext = std::shared_ptr<SSL_CTX>;

/// Thread: [any].
class Certificates {
 public:
  Certificates();

  /// For names without one of their own. invalid_argument says what OpenSSL says.
  Result<void> set_default(const std::string& chain_pem, const std::string& key_pem);
  /// Of the route `id`; empty texts remove it. A pair that does not fit leaves what was there.
  Result<void> put(const std::string& id, const std::string& domain, const std::string& chain_pem,
                   const std::string& key_pem);
  void remove(const std::string& id);
  /// Takes out every route that `wanted` does not say yes to.
  void keep_only(const std::function<bool(const std::string& id)>& wanted);

  /// The exact name, then "*." of its parent, then the default; null when there is none.
  TlsContext find(const std::string& name) const;
  /// What a handshake begins with; it chooses by the name that the client sends.
  TlsContext front() const { return front_; }

 private:
  struct Entry {
    std::string id;
    TlsContext context;
  };
  static int choose(SSL* ssl, int* alert, void* self);
  void remove_locked(const std::string& id);

  TlsContext front_;
  mutable std::mutex mutex_;
  TlsContext default_;
  std::multimap<std::string, Entry> by_domain_;  // several routes of a domain may have one
};

}  // namespace flynn::router
