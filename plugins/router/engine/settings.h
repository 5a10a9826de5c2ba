// What can be set, and what is counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flynn::router {

/// Times in milliseconds. One copy, constant while the data plane runs.
struct Settings {
  unsigned threads = 0;                            // 0: one a core
  std::uint32_t head_timeout_ms = 10'000;          // from a head's first byte to its last
  std::uint32_t client_idle_timeout_ms = 75'000;   // between requests
  std::uint32_t upstream_idle_timeout_ms = 4'000;  // below the 5 s after which many servers close
  std::uint32_t connect_timeout_ms = 1'000;
  std::uint32_t stream_timeout_ms = 600'000;  // without a byte in either direction, also before the first one
  std::uint32_t tunnel_timeout_ms = 3'600'000;
  std::uint32_t wait_backend_ms = 5'000;
  std::uint32_t half_closed_idle_ms = 10'000;  // so long a client that has ended its side is believed to read a stream
  std::uint32_t drain_idle_ms = 2'000;         // idle for so long, a draining router closes a connection
  std::size_t connections_max = 0;             // a thread; 0: what the descriptor limit allows
  bool trust_forwarded = false;
  bool log_requests = false;
};

/// Written by one thread, read by any. Not a lock prefix on the request path: a plain load and store each.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
  void subtract(std::uint64_t n = 1) { value_.store(get() - n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) Counters {
  Counter connections;  // open now
  Counter requests;
  std::array<Counter, 6> responses;  // by hundreds
  // Answers that the router had to make itself (no route, no backend, a backend's fault), and connections of TCP routes
  // that reached no instance.
  Counter made_errors;
  Counter latency_ms;  // the sum of all, from a request's head to its answer's, or until an instance was reached
  Counter upstream_errors;
  Counter upstream_connects;
  Counter tunnels;  // open now, those of TCP routes too
  // Of TCP routes: open now, with those that wait for an instance; that reached one; that reached none, broke off, or
  // were ended because nothing was said; the bytes of both directions.
  Counter tcp_open, tcp_served, tcp_no_instance, tcp_resets, tcp_timeouts;
  Counter tcp_bytes_in, tcp_bytes_out;
  Counter bytes_in, bytes_out;
  Counter log_lines_dropped;
};

struct Totals {
  std::uint64_t connections = 0, requests = 0, made_errors = 0, latency_ms = 0, upstream_errors = 0,
                upstream_connects = 0, tunnels = 0, tcp_open = 0, tcp_served = 0, tcp_no_instance = 0, tcp_resets = 0,
                tcp_timeouts = 0, tcp_bytes_in = 0, tcp_bytes_out = 0, bytes_in = 0, bytes_out = 0,
                log_lines_dropped = 0;
  std::array<std::uint64_t, 6> responses{};
};

}  // namespace flynn::router
