// One connection of a client, and the exchange (request and response) that it is in.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "engine/loop_context.h"
#include "engine/moving_connection.h"
#include "engine/secure_end.h"
#include "engine/socket.h"
#include "engine/tcp_target.h"
#include "http/body_reader.h"
#include "http/head.h"
#include "http/head_writer.h"

namespace flynn::router {

constexpr int kTriesMax = 4;

/// A short text kept without allocation; what does not fit is cut off.
template <std::size_t Size>
class ShortText {
 public:
  void set(std::string_view text) {
    size_ = static_cast<std::uint16_t>(text.size() < Size ? text.size() : Size);
    if (size_ != 0) std::memcpy(text_.data(), text.data(), size_);
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, Size> text_;
  std::uint16_t size_ = 0;
};

/// Of a connection of a TCP route, for the log.
struct TcpFacts {
  bool on = false;  // it is one
  ShortText<40> route;
  int port = 0;
  std::int64_t connected_ms = 0;  // 0: no instance was reached yet
  std::uint64_t bytes_in = 0;
  bool client_ended_first = false;
  TcpEnd end = TcpEnd::kRouterStopped;
};

/// State that exists only while a request is being served. Pooled.
struct Exchange {
  // The request.
  HeadBuffer head;  // as written for the backend, kept for another try
  Method method = Method::kOther;
  int client_minor = 1;
  bool client_keep_alive = true;
  bool wants_upgrade = false, wants_json = false;
  bool expects_continue = false;
  bool body_begun = false;  // bytes of the body have been taken from the client: no second try
  BodyReader request_body;
  // Where it goes.
  Upstream* upstream = nullptr;
  bool head_sent = false;
  bool sticky = false, set_cookie = false, maintenance = false;
  bool leader = false;  // only to the instance that leads
  std::uint64_t sticky_hash = 0;
  bool fresh_only = false;  // an idle connection was dead: its siblings probably are
  int tries = 0;
  std::array<const Backend*, kTriesMax> tried{};
  std::int64_t wait_until_ms = 0;  // 0: has not begun to wait for a backend
  // The response.
  bool response_begun = false;  // a byte of it has come
  bool head_done = false;       // the final head has been passed on
  bool upstream_reusable = false;
  BodyFraming to_client;
  BodyReader response_body;
  int status = 0;
  bool event_stream = false;        // it has no end of its own
  std::int64_t response_at_ms = 0;  // when the last byte of it came
  // For the log.
  std::int64_t started_ms = 0;
  std::uint64_t bytes = 0;
  ShortText<128> service;
  ShortText<64> app_id;
  ShortText<kRequestIdBytesMax> request_id;
  ShortText<32> method_name;
  ShortText<256> host;
  ShortText<256> path;
  ShortText<64> backend_addr;
  TcpFacts tcp;
};

/// An explicit state machine; every function leaves it consistent for the next event, and none blocks.
///
///   kHead -> (kServing | kTunnel after 101) -> kHead …          kFlushing -> kLingering -> closed
///   kDialing (TCP routes) -> kTunnel                            kAdopted -> (kHead | kDialing | kTunnel)
///
/// Backpressure: nothing is read from one side while the other has bytes waiting. Thread: [loop].
class ClientConnection final : public EventTarget, public TimerNode {
 public:
  explicit ClientConnection(LoopContext& loop) : loop_(loop) {}

  /// Takes over an accepted socket. False if it could not be registered (it is closed then).
  /// `secure`: the client speaks TLS with somebody of this process, who gives its bytes to this socket in the clear and
  /// asks it how the connection ended.
  bool open(int fd, std::string_view ip, std::shared_ptr<SecureEnd> secure = nullptr);
  /// The same for a connection to the port of a TCP route: nothing is read before an instance is reached.
  bool open_tcp(int fd, std::string_view ip, const TcpTarget& target);
  void on_events(std::uint32_t events) override;
  void on_timer() override;
  /// Goes on without an event: pipelined bytes, or a turn given to others.
  void resume();
  /// The drain has begun: idle connections get their last time-out.
  void on_drain();
  /// Ends at once. With an answer half sent, or a tunnel: by a reset, to both sides.
  void abort();
  /// The same, with the reason for the log.
  void break_off(TcpEnd why) {
    note_tcp_end(why);
    abort();
  }

  // client_move.cc: from one router to another
  [[nodiscard]] bool is_tunnel() const { return state_ == State::kTunnel; }
  /// Between two requests, or a tunnel: another router could go on with it now.
  [[nodiscard]] bool can_move() const;
  /// Now, or when its running answer has ended.
  [[nodiscard]] bool may_move_later() const;
  /// Gives up everything and is closed, but for the sockets: those are only let go of.
  MovingConnection let_go();
  /// False if it could not be registered (its descriptors are closed then).
  bool adopt(MovingConnection& moving);
  /// The second half of adopt: go on, or undo.
  void start_adopted(std::uint32_t timeout_ms);
  void drop_adopted();

  // From the upstream of this exchange.
  void on_upstream_ready();
  void on_connect_failed();
  /// Tries again to find a backend (the table has changed, or time has passed).
  void retry_waiting();
  [[nodiscard]] ClientConnection* next() const { return next_; }
  [[nodiscard]] ClientConnection* next_waiting() const { return next_waiting_; }

 private:
  friend class LoopContext;
  enum class State : std::uint8_t { kClosed, kAdopted, kHead, kServing, kDialing, kTunnel, kFlushing, kLingering };
  enum class Pumped : std::uint8_t { kYes, kNo, kGone, kTargetGone };

  // client_request.cc: from the first byte to the backend
  void read_head();
  bool take_fresh_head();
  bool take_pending_head();
  bool read_more_head();
  void begin_exchange(const RequestHead& head);
  void reject(const ParseResult& result);
  void send_head();
  void pump_request();
  Pumped pump_request_once();
  Pumped forward_request_body(char* bytes, std::size_t size, bool from_pending, std::string_view head);

  // client_backend.cc: which backend
  void find_backend();
  const std::shared_ptr<Backend>* choose(const Service& service);
  bool try_backend(const std::shared_ptr<Backend>& backend);
  void wait_for_backend();
  void stop_waiting();
  void retry_or_fail(const char* reason);
  void drop_upstream();

  // client_response.cc: and back
  void pump_response();
  bool pump_response_once();
  bool take_response(char* bytes, std::size_t size);
  bool take_response_head(char* bytes, std::size_t size);
  bool pass_response_head(const ResponseHead& head, char* rest, std::size_t size);
  bool forward_response_body(std::string_view head, char* bytes, std::size_t size);
  void on_upstream_end(Received how);
  void finish_exchange();
  void next_request();
  void fail(int status, const char* reason);

  // client_half_close.cc: the client has ended its side before the answer has
  [[nodiscard]] bool streams_to_half_closed() const;
  /// Ends the stream if nobody is thought to read it, else looks again later. What is told: that the client's end, a
  /// byte of the answer, the time-out or the drain has come. The connection may be closed afterwards.
  void mind_half_close();

  // client_tunnel.cc
  void begin_tunnel(std::string_view head, std::string_view early);
  void enter_tunnel();
  void pump_tunnel();
  struct TunnelSide;
  Pumped pump_tunnel_side(const TunnelSide& side);

  // client_tcp.cc: before it is a tunnel
  void begin_dialing(const TcpTarget& target);
  void prepare_dialing(const TcpTarget& target);
  void begin_tcp_tunnel();
  void become_tcp(std::string_view route, int port);
  /// It is none of ours any more: ended, or moved.
  void leave_tcp();
  /// Why the connection is about to end; counts if it is one of a TCP route.
  void note_tcp_end(TcpEnd end);
  void write_tcp_log();
  TcpRecord tcp_record() const;
  void adopt_tcp(const MovingConnection& moving);

  std::shared_ptr<Backend> find_instance(const MovingConnection& moving) const;

  // client_connection.cc: beginning and end
  void begin(int fd, std::string_view ip);
  void go_on();
  void close_gently();
  void linger();
  void close_now();
  void write_log();

  LoopContext& loop_;
  State state_ = State::kClosed;
  bool ready_ = false;                                  // is in the ready list
  bool waiting_ = false;                                // is in the list of those who wait for a backend
  bool adopted_ = false;                                // who gave it may still hold a duplicate of its socket
  bool client_ended_ = false, upstream_ended_ = false;  // tunnel: which directions are finished
  bool upstream_refuses_ = false;                       // tunnel: it takes no more; what it had sent is passed on
  Socket socket_;
  Spill pending_;  // received and not understood yet: part of a head, early body, the next request
  HeadScanner scanner_;
  Exchange* exchange_ = nullptr;
  ClientConnection* previous_ = nullptr;
  ClientConnection* next_ = nullptr;
  ClientConnection* previous_waiting_ = nullptr;
  ClientConnection* next_waiting_ = nullptr;
  ShortText<46> ip_;
  std::shared_ptr<SecureEnd> secure_;  // can't move: the TLS session stays here
};

}  // namespace flynn::router
