// What the connections of one thread share.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/access_log.h"
#include "engine/hand_over.h"
#include "engine/reactor.h"
#include "engine/route_table.h"
#include "engine/settings.h"
#include "engine/socket.h"
#include "engine/timer_wheel.h"
#include "engine/upstream.h"
#include "http/head_writer.h"

namespace flynn::router {

class ClientConnection;
struct Exchange;

/// One read takes 64 KiB of body together with its head; room before and after is for chunk framing.
constexpr std::size_t kReadBytes = 68 * 1024;

/// A small, fast generator for balancing and request ids; not for secrets. (xoshiro256**)
class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>((next() >> 32) * bound >> 32); }

 private:
  std::array<std::uint64_t, 4> state_;
};

/// Thread: [loop].
class LoopContext {
 public:
  LoopContext(const Settings& settings_, LoopOwner& owner);
  ~LoopContext();
  LoopContext(const LoopContext&) = delete;
  LoopContext& operator=(const LoopContext&) = delete;

  /// Has `connection` resumed at the end of this batch (once).
  void make_ready(ClientConnection& connection);
  /// The connection has ended; its object is used again after this batch.
  void retire(ClientConnection& connection);
  ClientConnection* new_client();
  Exchange* new_exchange();
  void free_exchange(Exchange* exchange);
  /// Writes a version 4 UUID of 36 characters.
  std::string_view make_request_id();
  void read_clocks();
  /// Resumes what is ready and frees what has gone; true if something is ready again.
  bool finish_batch();
  void close_all();

  const Settings& settings;
  Reactor reactor;
  TimerWheel wheel;
  BlockPool blocks;
  UpstreamPool upstreams;
  Counters counters;
  AccessLog log;
  HandOver hand_over;
  Random random;
  std::shared_ptr<const RouteTable> table;
  std::string port = "80";          // of the listener, for X-Forwarded-Port
  std::string secure_port = "443";  // of those who come by TLS
  bool draining = false;
  std::uint64_t wall_ms = 0;  // read once a batch
  std::int64_t monotonic_ms = 0;
  HeadBuffer response_head;
  char* read_buffer;                    // kReadBytes
  ClientConnection* clients = nullptr;  // all that are open
  ClientConnection* waiting = nullptr;  // for a backend to come up

 private:
  std::unique_ptr<char[]> buffer_;
  std::array<char, 36> request_id_{};
  std::vector<ClientConnection*> ready_, resuming_, retired_, free_clients_;
  std::vector<Exchange*> free_exchanges_;
};

}  // namespace flynn::router
