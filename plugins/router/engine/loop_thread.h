// One thread of the data plane: its loop, its listener, its connections.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/loop_context.h"
#include "engine/secure_end.h"
#include "engine/tcp_target.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::router {

/// Thread: start, stop [control]; the posted work [loop]; counters() and log() [any].
class LoopThread final : public LoopOwner {
 public:
  /// `on_idle` is called [loop] whenever a draining thread has no client left.
  LoopThread(const Settings& settings, std::function<void()> on_idle);
  ~LoopThread();

  /// False with errno set.
  bool start(const std::string& name);
  void stop();

  void set_table(std::shared_ptr<const RouteTable> table);
  /// Accepts from `listener` (owned from here) until stop_accepting.
  void accept_from(UniqueFd listener, std::string port);
  /// A connection that was accepted elsewhere, see ClientConnection::open. Closed when there is no room.
  void admit(UniqueFd socket, std::string ip, std::shared_ptr<SecureEnd> end);
  /// The port that clients of admit came to.
  void set_secure_port(std::string port);
  /// `done` is called [loop] when nothing more will be accepted, on TCP ports neither.
  void stop_accepting(std::function<void()> done);
  /// See DataPlane::accept_tcp; `listener` is owned from here.
  void accept_tcp(int port, UniqueFd listener, std::shared_ptr<const TcpTarget> target, std::function<void()> on_lost);
  void stop_accepting_tcp(int port, std::function<void()> done);
  void set_draining(bool draining);
  /// Opens a window of HandOver for `outbox`, in which this is loop number `index`.
  void give(unsigned share_permille, Outbox& outbox, std::size_t index);
  /// Ends a share, and serves here what was held for it.
  void stop_giving();
  /// Registers all of `moving`, or none: `done` tells, [loop]. Nothing is read before settle_adopted.
  void adopt(std::shared_ptr<std::vector<MovingConnection>> moving, std::string port, std::function<void(bool)> done);
  /// Goes on with those that adopt has registered, or undoes it.
  void settle_adopted(bool keep);
  /// Ends every connection now.
  void close_all();

  [[nodiscard]] const Counters& counters() const { return loop_.counters; }
  AccessLog& log() { return loop_.log; }

  void before_batch() override { loop_.read_clocks(); }
  bool after_batch() override;
  void on_tick() override;

 private:
  struct Listener final : EventTarget {
    explicit Listener(LoopThread& o) : owner(o) {}
    void on_events(std::uint32_t events) override { owner.on_listener(*this, events); }
    LoopThread& owner;
    UniqueFd fd;
    std::shared_ptr<const TcpTarget> tcp;  // null: HTTP
    std::function<void()> on_lost;
  };

  void on_listener(Listener& listener, std::uint32_t events);
  void watch(Listener& listener);
  void forget(Listener& listener);
  void forget_tcp(int port);
  void forget_all();
  bool adopt_all(std::vector<MovingConnection>& moving);
  void pause_accepting();
  void go_on_accepting();
  void retry_waiting();

  LoopContext loop_;
  std::function<void()> on_idle_;
  Listener http_;
  std::map<int, std::unique_ptr<Listener>> tcp_;  // by port
  struct Adopted {
    ClientConnection* connection;
    std::uint32_t timeout_ms;
  };
  std::vector<Adopted> adopted_;  // registered, not settled
  std::size_t connections_max_ = 0;
  bool paused_ = false;  // until the next tick
  unsigned ticks_ = 0;
  std::thread thread_;
};

}  // namespace flynn::router
