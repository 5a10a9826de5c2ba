// DnsServer: answers the names of the zone `discoverd` to jobs, and passes every other name to the machine's own
// resolvers. By UDP, and by TCP what is too large for that.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dns_tcp.h"
#include "dns_zone.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"

namespace flynn::discovery {

struct DnsServerOptions {
  std::string address;                 // IPv4 to listen on; it may come to exist later (the bridge's)
  int port = 53;                       // 0: any, see port()
  std::vector<std::string> resolvers;  // IPv4 of upstream servers, asked in this order
  std::chrono::milliseconds upstream_timeout{2000};
};

/// The IPv4 name servers of a resolv.conf.
std::vector<std::string> resolvers_of(const std::string& resolv_conf_text);

/// One UDP socket and one thread ("dns"); DnsTcp beside it on the same port. Questions that wait for an upstream are
/// bounded; the oldest gives way. Two may listen on one port at once, as in a swap: each question reaches one of them.
/// Thread: [control].
class DnsServer {
 public:
  DnsServer(DnsServerOptions options, ServiceLookup lookup);
  ~DnsServer() { stop(); }

  /// All that takes time; nobody is answered yet.
  Result<void> prepare();
  /// Listens; nothing when it does already.
  Result<void> open();
  Result<void> start();
  /// Answers what has come, then ends.
  void stop();
  int port() const { return port_; }

 private:
  struct Waiting {
    std::uint16_t client_id = 0;
    sockaddr_in client{};
    std::string message;
    std::size_t resolver = 0;
    std::chrono::steady_clock::time_point ask_next;
  };

  void run(const StopSignal& stop);
  bool take_question();
  void answer_from_upstream();
  void ask_upstream(std::uint16_t id, Waiting& waiting);
  void retry_late_ones(std::chrono::steady_clock::time_point now);

  DnsServerOptions options_;
  ServiceLookup lookup_;
  std::vector<sockaddr_in> resolvers_;
  UniqueFd socket_, upstream_;
  std::unordered_map<std::uint16_t, Waiting> waiting_;  // by the id that the upstream sees
  int port_ = 0;
  bool open_ = false;
  std::atomic<unsigned> turn_{0};
  DnsTcp tcp_;
  Worker worker_;
};

}  // namespace flynn::discovery
