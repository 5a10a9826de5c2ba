// Clients of every kind at once: keep-alive, one-shot, slow upload, long download, websocket, and over a TCP route.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http_wire.h"

namespace flynn::load {

enum Kind : std::size_t { kKeepAlive, kOneShot, kUpload, kDownload, kTunnel, kTcpTunnel, kTcpShort, kKinds };
constexpr std::array<const char*, kKinds> kKindNames{"keep-alive",    "one-shot",          "slow upload",
                                                     "long download", "websocket message", "TCP tunnel message",
                                                     "TCP connection"};

struct Mix {
  std::array<int, kKinds> lanes{8, 2, 3, 3, 8, 8, 2};
  int think_ms = 4;  // of all lanes but uploads and downloads, between two requests
};

/// How long a short request (keep-alive or one-shot, with its connect) lasted.
struct Sample {
  std::chrono::steady_clock::time_point begin;
  double ms = 0;
};

struct LoadResult {
  std::array<std::uint64_t, kKinds> answered{};
  std::uint64_t failed = 0;       // refused, reset, cut short, wrong bytes, another status than 200
  std::uint64_t connections = 0;  // opened by keep-alive lanes: more than lanes if the server closed any
  std::uint64_t tunnels_lost = 0, tcp_tunnels_lost = 0;
  std::string first_failure;
  std::vector<Sample> samples;
};

/// A thread a lane, each with one request after the other, until stop(). Thread: start and stop by the owner.
class MixedLoad {
 public:
  /// `tcp_port`: of a TCP route to the same app; 0: none, and no such lanes.
  MixedLoad(int port, std::string host, const Mix& mix = {}, int tcp_port = 0);
  ~MixedLoad() { stop(); }
  LoadResult stop();

 private:
  struct Lane {
    Kind kind;
    LoadResult result;
    std::thread thread;
  };
  void drive(Lane& lane) const;
  void drive_tunnel(Lane& lane) const;
  /// What is wrong, or empty.
  std::string ask(Lane& lane, HttpWire& wire) const;
  std::string upload(HttpWire& wire) const;
  static std::string read(HttpWire& wire, std::uint64_t sum);
  [[nodiscard]] std::string head(const char* first_line, const char* more = "") const;

  [[nodiscard]] int port_for(Kind kind) const { return kind == kTcpTunnel || kind == kTcpShort ? tcp_port_ : port_; }

  int port_, tcp_port_;
  std::string host_;
  Mix mix_;
  std::uint64_t ok_sum_, long_sum_, upload_sum_;
  std::atomic<bool> ending_{false};
  std::vector<std::unique_ptr<Lane>> lanes_;
};

/// The q-quantile of those samples that begin in one of the spans, in milliseconds; 0 when there is none.
using Span = std::pair<std::chrono::steady_clock::time_point, std::chrono::steady_clock::time_point>;
double quantile_ms(const std::vector<Sample>& samples, const std::vector<Span>& spans, double q);

}  // namespace flynn::load
