// LogPump: sends logs to all readers, from one thread.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "app_log.h"
#include "flynn/sdk/worker.h"

namespace flynn::logs {

inline constexpr std::size_t kReadersMax = 512;
inline constexpr std::uint64_t kBehindBytesMax = 4 << 20;

struct ReadRequest {
  std::string app_id;
  Filter filter;
  std::int64_t lines = -1;  // -1: all
  bool follow = false;
};

/// A reader is a position in a log, so one that reads slowly costs a buffer of fixed size, and nothing falls between
/// what was stored and what comes. Thread: start, stop [control]; else [any].
class LogPump {
 public:
  LogPump();
  ~LogPump();
  void start();
  void ask_stop() { worker_.ask_stop(); }
  void stop();
  /// The reader's end of a stream. `log` may be null (an app without logs): nothing comes, unless it follows.
  Result<UniqueFd> open(ReadRequest request, std::shared_ptr<AppLog> log);
  /// There is something new.
  void wake() { wake_.ask(); }
  std::size_t followers();

 private:
  struct Reader;
  void run(const StopSignal& stop);
  /// False when it is finished or gone.
  bool serve(Reader& reader);
  bool fill(Reader& reader);
  void skip_if_behind(Reader& reader);

  StopSignal wake_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Reader>> arrived_;  // not yet with the thread
  std::size_t readers_ = 0, followers_ = 0;
  Worker worker_;
};

}  // namespace flynn::logs
