// The app behind the load: small answers, uploads, slow downloads, and a tunnel that echoes.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flynn/sdk/unique_fd.h"
#include "http_wire.h"

namespace flynn::load {

constexpr int kPieces = 20, kPieceMs = 20;
constexpr std::size_t kPieceBytes = 16 * 1024;

/// Piece number `i` of every long body.
std::string piece(int i);
/// Of a whole long body.
std::uint64_t long_body_sum();

/// GET /: "ok". GET /download: the long body, a piece each kPieceMs. POST: the count and checksum of what came.
/// Upgrade: echoes. A thread a connection, joined after it has ended. Thread: constructed and destroyed by its owner.
class LoadBackend {
 public:
  LoadBackend();
  ~LoadBackend();
  [[nodiscard]] int port() const { return port_; }

 private:
  void accept_all();
  void serve(HttpWire& wire) const;
  void join_ended();
  UniqueFd listener_, stop_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> served_;
  std::vector<std::thread::id> ended_;
  std::thread acceptor_;
};

}  // namespace flynn::load
