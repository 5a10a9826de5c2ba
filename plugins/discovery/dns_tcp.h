// DnsTcp: DNS over TCP (RFC 7766): our zone is answered here, a connection that asks for another name becomes one to
// the first resolver.
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "dns_message.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"

namespace flynn::discovery {

/// One thread ("dns-tcp"), at most 64 clients, 10 s of silence each. Thread: [control].
class DnsTcp {
 public:
  /// The answer to a question for our zone.
  using Answer = std::function<std::string(std::string_view message, const DnsQuery& query)>;
  ~DnsTcp() { stop(); }

  /// Its thread begins; nobody is served before open().
  void prepare(std::vector<sockaddr_in> resolvers, Answer answer);
  Result<void> open(const sockaddr_in& address);
  void stop();

 private:
  struct Client {
    UniqueFd fd, upstream;
    std::string in, out, to_upstream;
    std::chrono::steady_clock::time_point last;
    bool dead = false;
  };
  void run(const StopSignal& stop);
  void accept_one();
  void serve(Client& client);
  void relay(Client& client, std::string message);
  void pump(Client& client, short client_events, short upstream_events);

  StopSignal opened_;
  UniqueFd listening_;
  std::vector<sockaddr_in> resolvers_;
  Answer answer_;
  std::list<Client> clients_;
  Worker worker_;
};

}  // namespace flynn::discovery
