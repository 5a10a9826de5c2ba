// The two neighbours of a router, for tests: a client and a backend, on real sockets of 127.0.0.1.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/data_plane.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::router::testing {

/// A listening socket on an ephemeral port.
UniqueFd listen_anywhere();
int port_of(int fd);
/// Nobody listens on 127.0.0.1:`port`.
bool is_refused(int port);
/// CLOCK_MONOTONIC, `ms` from now.
std::uint64_t deadline_in(int ms);

struct Answer {
  int status = 0;
  std::string head, body;
  bool complete = false;  // ended as its framing says
  [[nodiscard]] bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

/// A blocking connection with a deadline of ten seconds for everything it waits for.
class Peer {
 public:
  explicit Peer(UniqueFd fd);
  static Peer connect(int port);

  bool send(std::string_view bytes);
  /// Up to and with the empty line; what came before the end when there is none.
  std::string read_head();
  std::string read_exactly(std::size_t size);
  std::string read_to_end();
  /// Whatever comes next; empty at the end.
  std::string read_some();
  /// Chunked, without framing.
  std::string read_chunks(bool& complete);
  Answer read_answer(bool to_head = false);
  /// send and read_answer.
  Answer ask(std::string_view request);
  void end_sending();
  void close() { fd_.reset(); }
  /// Close with a reset.
  void reset();
  /// Reads on until the end; true when that was a reset.
  bool ends_by_reset();
  [[nodiscard]] bool at_end();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  bool fill();
  UniqueFd fd_;
  std::string buffer_;
};

/// Serves each connection with `serve` on a thread of its own; stops and joins all when it goes.
class TestBackend {
 public:
  explicit TestBackend(std::function<void(Peer&)> serve);
  ~TestBackend();
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string addr() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int connections() const { return connections_.load(); }

 private:
  void accept_all();
  std::function<void(Peer&)> serve_;
  UniqueFd listener_, stop_;
  int port_;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> served_;
  std::thread acceptor_;
};

/// Sends back whatever comes until that ends, then "bye".
void echo_bytes(Peer& peer);
/// Answers every request with its head as the body (and its body after it), until the connection ends.
void echo_requests(Peer& peer);

/// A data plane with one route, app.test, to the backends given.
class TestRouter {
 public:
  explicit TestRouter(const std::vector<std::string>& backends, Settings settings = {});
  ~TestRouter();
  [[nodiscard]] Peer client() const { return Peer::connect(port); }
  void publish() { plane.set_table(builder.publish()); }

  RouteTableBuilder builder;
  DataPlane plane;
  UniqueFd listener;
  int port = 0;
};

}  // namespace flynn::router::testing
