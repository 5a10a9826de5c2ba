// TlsGate: ends TLS. What a client says goes in the clear over a socket pair into the data plane, which serves it like
// any other connection, and back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/secure_end.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"
#include "tls/certificates.h"

namespace flynn::router {

/// Threads "router.tls.N", each with an epoll set of its own. A connection has at most 32 KiB under way: neither side
/// is read while the other does not take. Thread: [control].
class TlsGate {
 public:
  /// `admit` gets the plain end of each connection whose handshake has succeeded, and the client's address.
  using Admit = std::function<void(UniqueFd plain, const std::string& ip, std::shared_ptr<SecureEnd> end)>;
  TlsGate(const Certificates& certificates, unsigned threads, Admit admit);
  ~TlsGate();
  TlsGate(const TlsGate&) = delete;
  TlsGate& operator=(const TlsGate&) = delete;

  /// Accepts from duplicates of `listen_fd` (borrowed).
  Result<void> accept(int listen_fd);
  void stop_accepting();
  /// Until no connection is left (each ends when the data plane closes its side), or the deadline.
  bool wait_until_empty(std::uint64_t deadline_ns);
  std::size_t connections() const { return connections_.load(); }

 private:
  class Loop;
  const Certificates& certificates_;
  const Admit admit_;
  std::atomic<std::size_t> connections_{0};
  std::mutex mutex_;
  std::condition_variable emptied_;
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace flynn::router
