// One line a request, collected per thread and handed on once a second.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace flynn::router {

struct LogLine {
  std::string_view app_id;
  std::uint64_t timestamp_us = 0;
  std::string_view text;
};

struct LogRequest {
  std::string_view app_id, method, host, path, client_ip, backend, request_id;
  int status = 0;
  std::uint64_t bytes = 0;
  std::uint64_t duration_ms = 0;
  std::uint64_t timestamp_us = 0;
};

/// Bounded: what does not fit into a second's buffer is dropped and counted. The lock is taken once a second, never by
/// a request. Thread: add and hand_over [loop]; collect [any].
class AccessLog {
 public:
  /// False if the line was dropped.
  bool add(const LogRequest& request);
  /// Makes what was added visible to collect(). False if the last hand-over was not collected yet; it goes on filling.
  bool hand_over();
  void collect(const std::function<void(const LogLine&)>& visit);

 private:
  std::string filling_;
  std::mutex mutex_;
  std::string handed_;
};

}  // namespace flynn::router
