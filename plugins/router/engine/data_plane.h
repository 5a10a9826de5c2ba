// The data plane: all threads together. This is all that the plugin, the standalone program and the tests see.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/access_log.h"
#include "engine/outbox.h"
#include "engine/route_table.h"
#include "engine/secure_end.h"
#include "engine/settings.h"
#include "engine/tcp_target.h"

namespace flynn::router {

class LoopThread;

/// The port that a listening socket is bound to, as text.
std::string port_of(int listen_fd);

/// start -> accept -> stop_accepting -> drain -> stop; accept again undoes stop_accepting. After stop() no thread and
/// no descriptor is left. Thread: lifecycle [control]; set_table, totals, collect_log [any].
class DataPlane {
 public:
  DataPlane();
  ~DataPlane();
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;

  /// Threads up, nothing accepted. Empty on success, else what failed.
  std::string start(const Settings& settings);
  /// Accepts from duplicates of `listen_fd` (borrowed). Empty on success.
  std::string accept(int listen_fd);
  /// A client that speaks TLS with somebody else of this process: `socket` carries its bytes in the clear. It can't be
  /// handed over. Thread: [any].
  void admit(UniqueFd socket, const std::string& ip, std::shared_ptr<SecureEnd> end);
  void set_secure_port(const std::string& port);
  /// Returns when no thread accepts any more, on TCP ports neither.
  void stop_accepting();
  /// Every connection to `listen_fd` (borrowed, duplicated) is passed on to an instance of the target's service, from
  /// now on and instead of what was said of this port before. `on_lost` is called [loop], maybe more than once, when
  /// somebody has shut the shared socket down: nothing is accepted until this is called again. Empty on success.
  /// Thread: one at a time, not beside stop_accepting.
  std::string accept_tcp(int port, int listen_fd, const TcpTarget& target, std::function<void()> on_lost);
  /// Returns when no thread accepts on this port any more; what it has accepted lives on.
  void stop_accepting_tcp(int port);
  /// Answers carry "Connection: close" and idle connections end; true when none was left before the deadline
  /// (CLOCK_MONOTONIC, ns), otherwise what is left has been cut off.
  bool drain(std::uint64_t deadline_ns);
  /// Not beside collect_log, which afterwards still has the last lines.
  void stop();

  /// What can move to another router: with 1000 every connection, now or once it is idle; with 1 to 999 so many of a
  /// thousand that are accepted from now on; 0 ends that. Waits for the first, for nothing to be left, or for the
  /// deadline. What was given away is no longer ours. Between two calls everything is served here.
  Outbox::Batch hand_over(unsigned share_permille, std::uint64_t deadline_ns);
  /// Goes on with connections of another router, whose clients came to `port`. Empty on success; otherwise what failed,
  /// and not a byte of any has been read.
  std::string take_over(std::vector<MovingConnection> moving, const std::string& port);
  /// The port that clients come to; empty before accept and take_over.
  [[nodiscard]] const std::string& port() const { return port_; }

  void set_table(const std::shared_ptr<const RouteTable>& table);
  [[nodiscard]] Totals totals() const;
  void collect_log(const std::function<void(const LogLine&)>& visit);
  [[nodiscard]] std::size_t threads() const { return threads_.size(); }

 private:
  bool wait_until_empty(std::uint64_t deadline_ns);
  void for_each_loop(const std::function<void(LoopThread&, std::function<void()>)>& ask);

  [[nodiscard]] std::vector<std::vector<MovingConnection>> spread(std::vector<MovingConnection> moving) const;

  Settings settings_;
  std::string port_;
  Outbox outbox_;
  AccessLog last_lines_;  // of loops that have ended
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<LoopThread>> threads_;
  std::atomic<std::size_t> next_thread_{0};
};

}  // namespace flynn::router
