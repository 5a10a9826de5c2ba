// Sink: sends the logs of all apps to one syslog server.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "app_names.h"
#include "flynn/sdk/gate.h"
#include "flynn/sdk/host.h"
#include "log_store.h"
#include "sink_config.h"
#include "sink_connection.h"
#include "sink_positions.h"

namespace flynn::logs {

struct SinkState {
  bool connected = false;
  std::uint64_t behind_bytes = 0;  // kept in the logs and not yet confirmed
  std::string error;               // why it is not connected
};

/// At least once: a position moves on when the peer's system has acknowledged the bytes, is on disk within a second of
/// that, and is where the next connection and the next start begin. What the logs dropped meanwhile is told in its
/// place. A sink without a file of positions begins at the end of the logs that there are.
/// Acts from start() until end() and wait_ended(), once: who resumes makes another, which reads the positions again.
/// Borrows everything given. Thread: start, stop [control]; wake, end, wait_ended, state [any]; its own thread sends.
class Sink {
 public:
  Sink(std::string id, SinkConfig config, std::string positions_path, LogStore& store, const AppNames& names, Log& log);
  ~Sink() { stop(); }

  void start(const std::string& thread_name);
  /// Sends nothing new, saves its positions and closes; does not wait.
  void end();
  /// After end(): until nothing of it acts any more. Its thread is joined by stop().
  void wait_ended() { (void)gate_.wait_empty(); }
  void stop() { worker_.stop(); }
  /// There is something new.
  void wake() { wake_.ask(); }
  SinkState state() const;

 private:
  using Clock = std::chrono::steady_clock;

  void run(const StopSignal& stop);
  bool begin(const StopSignal& stop);
  bool reach(const StopSignal& stop);
  void lose(const Error& error, const StopSignal& stop);
  void tell_unreachable(const Error& error);
  void pause(const StopSignal& stop);
  Result<bool> send_round(const StopSignal& stop);
  Result<bool> send_some(const std::string& app_id, const std::string& name, const AppLog& log);
  void notice_new_logs();
  void settle();
  void save();
  void rest(const StopSignal& stop);

  const std::string id_;
  const SinkConfig config_;
  LogStore& store_;
  const AppNames& names_;
  Log& log_;
  StopSignal wake_;
  SinkPositions positions_;
  // The thread's own.
  std::map<std::string, std::shared_ptr<AppLog>> logs_;
  std::unique_ptr<SinkConnection> connection_;
  std::chrono::milliseconds retry_;
  Clock::time_point reached_at_, save_at_;
  bool told_unreachable_ = false, told_unsaved_ = false;

  mutable std::mutex mutex_;
  bool begun_ = false;  // positions are known
  bool connected_ = false;
  std::string error_;
  Gate gate_;
  Worker worker_;
};

}  // namespace flynn::logs
