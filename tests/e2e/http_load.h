// A bounded load of HTTP/1.1 keep-alive requests that counts every answer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "flynn/sdk/unique_fd.h"

namespace flynn::e2e {

struct LoadCounts {
  std::uint64_t answered = 0;     // status 200 and the body complete
  std::uint64_t failed = 0;       // anything else: refused, reset, cut short, another status
  std::uint64_t connections = 0;  // opened; a server may close after an answer
  std::string first_failure;
  double seconds = 0;
};

/// `connections` threads send GET / one after the other, each on its own connection, until stop(). A connection that
/// the server closed after a complete answer is opened again: that is no failure. Thread: start and stop by the owner.
class HttpLoad {
 public:
  HttpLoad(int port, std::string host, int connections);
  ~HttpLoad() { stop(); }
  LoadCounts stop();

 private:
  struct Lane {
    LoadCounts counts;
    UniqueFd socket;
    std::thread thread;
  };
  void drive(Lane& lane) const;

  int port_;
  std::string host_;
  std::atomic<bool> ending_{false};
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace flynn::e2e
