// The ports of TCP routes: lent by the core, given to the data plane, and shut when their route has gone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/data_plane.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::router {

/// Key `routes/tcp/<id>`.
struct TcpRoute {
  std::string id;
  int port = 0;
  TcpTarget target;
  bool operator==(const TcpRoute&) const = default;
};

/// Makes the open ports those of the routes. A port that can't be had is told of once for each reason and tried again
/// with back-off; the others, and HTTP, don't wait for it.
///
/// The listening socket of a port is one for all instances of a router, and during a swap two of them have it. Only an
/// instance that accepts shuts a socket down (then clients are refused); one that has been closed lets go of its
/// duplicates and leaves the sockets to the other. Two that accept at once may both shut one down, and the later one
/// may hit a socket that its route's successor has just got again: who accepts and finds its socket shut borrows it
/// once more, which makes it listen again.
/// Thread: start, stop, open, close [control]; set_routes, state [any]. Borrows all three.
class TcpPorts {
 public:
  using Lend = std::function<Result<UniqueFd>(const std::string& name)>;
  TcpPorts(Lend lend, Log& log, DataPlane& plane) : lend_(std::move(lend)), log_(log), plane_(plane) {}
  ~TcpPorts() { stop(); }

  void start(const std::string& thread_name);
  void stop();
  /// From now on the ports accept; those that are known already do when it returns, if they can be had.
  void open();
  /// None does any more when it returns.
  void close();
  /// All that there are; of two with one port the first counts.
  void set_routes(std::vector<TcpRoute> routes);

  struct PortState {
    TcpRoute route;
    bool open = false;
    std::string error;  // why it is not
  };
  [[nodiscard]] std::vector<PortState> state() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Port {
    TcpRoute route;
    UniqueFd fd;  // ours, for the shutdown; invalid: not open
    std::string error;
    std::chrono::milliseconds retry{0};
    Clock::time_point retry_at{};
  };

  void run(const StopSignal& stop);
  void reconcile();
  void shut_gone(const std::map<int, TcpRoute>& wanted);
  void open_port(int number, Port& port);
  void tell(const Port& port, const Error& error);
  [[nodiscard]] Clock::time_point next_retry() const;

  Lend lend_;
  Log& log_;
  DataPlane& plane_;

  // Loops come here, so nobody waits for a loop with this lock.
  mutable std::mutex inbox_mutex_;
  std::condition_variable news_;
  std::map<int, TcpRoute> wanted_;
  std::set<int> lost_;
  bool changed_ = false, stopping_ = false;

  mutable std::mutex mutex_;  // of what follows; taken before the inbox's
  bool accepting_ = false;
  std::map<int, Port> ports_;
  std::set<int> seen_;  // ports that were wanted at some time and may still listen
  Worker worker_;
};

}  // namespace flynn::router
