// Connections to backends.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/reactor.h"
#include "engine/route_table.h"
#include "engine/socket.h"
#include "engine/timer_wheel.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::router {

class ClientConnection;
class LoopContext;

/// One connection to one backend: connecting, serving one client, or idle in the pool of its thread. Counts as one
/// request in flight while it serves. Owned by its UpstreamPool. Thread: [loop].
class Upstream final : public EventTarget, public TimerNode {
 public:
  enum class State : std::uint8_t { kConnecting, kBusy, kIdle, kClosed };

  explicit Upstream(LoopContext& loop) : loop_(loop) {}

  void on_events(std::uint32_t events) override;
  void on_timer() override;

  State state = State::kClosed;
  bool reused = false;   // has served before: it may have died unnoticed
  bool adopted = false;  // who gave it may still hold a duplicate of its socket
  Socket socket;
  Spill pending;  // the beginning of a head that came in pieces
  std::shared_ptr<Backend> backend;
  ClientConnection* client = nullptr;

 private:
  friend class UpstreamPool;
  LoopContext& loop_;
  Upstream* next_free_ = nullptr;
  std::size_t idle_at_ = 0;  // place in the idle list
};

/// All upstream connections of one thread. Idle ones are used again newest first, and their number is bounded only by
/// how many were busy at once: they go by time. Objects are kept for reuse, so the steady state allocates nothing.
class UpstreamPool {
 public:
  explicit UpstreamPool(LoopContext& loop) : loop_(loop) {}
  ~UpstreamPool();

  /// An idle connection, attached to `client`, or null.
  Upstream* take_idle(const std::shared_ptr<Backend>& backend, ClientConnection& client);
  /// A connection on its way, attached to `client`; null when not even a socket could be had.
  Upstream* connect(const std::shared_ptr<Backend>& backend, ClientConnection& client);
  /// The client is done with it and it is clean: back to the idle ones.
  void release(Upstream& upstream);
  void close(Upstream& upstream);
  /// Lets go of its socket: out of the epoll set, not closed. The rest is closed by its client as ever.
  UniqueFd take_socket(Upstream& upstream);
  /// A connection that serves a tunnel of `client` already. Null if it could not be registered (`fd` is closed then).
  Upstream* adopt(int fd, std::shared_ptr<Backend> backend, ClientConnection& client);
  /// Closes idle connections to backends that have gone.
  void drop_retired();
  void close_idle();
  /// After a batch: nothing refers to the closed ones any more.
  void reclaim();

 private:
  /// Keeps its backend: the last connection may have ended by the time that the table lets go of it.
  struct Idle {
    std::shared_ptr<Backend> backend;
    std::vector<Upstream*> connections;  // newest last
  };

  Upstream* make();
  static void attach(Upstream& upstream, ClientConnection& client);
  void detach(Upstream& upstream);
  void remove_idle(Upstream& upstream);

  LoopContext& loop_;
  std::unordered_map<const Backend*, Idle> idle_;
  Upstream* free_ = nullptr;
  std::vector<Upstream*> closed_;
};

}  // namespace flynn::router
