// One line a request, and one a connection of a TCP route, collected per thread and handed on once a second.
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

/// Why a connection of a TCP route is over.
enum class TcpEnd : std::uint8_t {
  kRouterStopped,  // cut off at the end of a drain
  kClientClosed,   // both sides ended theirs, the client first
  kInstanceClosed,
  kClientReset,  // broke off, also before an instance was reached
  kInstanceReset,
  kIdleTimeout,
  kNoInstance,  // none was there, or none took the connection
};

struct LogTcp {
  std::string_view app_id, route, service, client_ip, backend;
  int port = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;  // from the client, and from the instance
  std::uint64_t connect_ms = 0;               // until an instance was reached, or for all its time
  std::uint64_t duration_ms = 0;
  std::uint64_t timestamp_us = 0;
  TcpEnd end = TcpEnd::kRouterStopped;
};

/// Bounded: what does not fit into a second's buffer is dropped and counted. The lock is taken once a second, never by
/// a request. Thread: add and hand_over [loop]; collect [any].
class AccessLog {
 public:
  /// False if the line was dropped.
  bool add(const LogRequest& request);
  bool add(const LogTcp& connection);
  /// Makes what was added visible to collect(). False if the last hand-over was not collected yet; it goes on filling.
  bool hand_over();
  void collect(const std::function<void(const LogLine&)>& visit);
  /// Takes all that `other` still has, whose loop has ended. Thread: [control].
  void take_rest(AccessLog& other);

 private:
  bool begin(std::string_view app_id, std::uint64_t timestamp_us, std::size_t size);

  std::string filling_;
  std::mutex mutex_;
  std::string handed_;
};

}  // namespace flynn::router
