// SinkConnection: one connection to a syslog server, over TCP or TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"
#include "name_lookup.h"
#include "sink_config.h"
#include "tls_session.h"

namespace flynn::logs {

inline constexpr std::chrono::seconds kConnectMax{10}, kWriteMax{10};

/// Borrows `stop`: every wait ends with `cancelled` as soon as it is asked. After an error the connection is good for
/// delivered() alone. Errors are in the system's own words. Never raises SIGPIPE. Thread: one at a time.
class SinkConnection {
 public:
  /// Within kConnectMax in all: name, addresses one after another, TLS.
  static Result<std::unique_ptr<SinkConnection>> open(const SinkConfig& config, const StopSignal& stop);
  ~SinkConnection();

  /// All of it within kWriteMax, after a check().
  Result<void> write(std::string_view text);
  /// Reads and drops what the peer said; `unavailable` when it has closed.
  Result<void> check();
  /// Bytes that the socket took, as they go over the wire.
  std::uint64_t written() const { return written_; }
  /// Of these, what the peer's system has acknowledged. What it has, its program may still not have read.
  std::uint64_t delivered() const;
  /// For a poll set: readable when check() has something to do.
  int fd() const { return fd_.get(); }

 private:
  SinkConnection(UniqueFd fd, const StopSignal& stop, std::string endpoint)
      : fd_(std::move(fd)), stop_(stop), endpoint_(std::move(endpoint)) {}
  Result<void> start_tls(const SinkConfig& config, Deadline deadline);
  Result<void> send_all(std::string_view bytes, Deadline deadline);
  /// Passes on what has come. False: nothing there.
  Result<bool> receive();
  Error closed() const { return Error{Code::unavailable, endpoint_ + " closed the connection"}; }

  UniqueFd fd_;
  const StopSignal& stop_;
  const std::string endpoint_;
  std::unique_ptr<TlsSession> tls_;
  std::uint64_t written_ = 0;
};

}  // namespace flynn::logs
