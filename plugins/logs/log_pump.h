// LogPump: sends logs to all readers, from one thread.
#pragma once

#include <poll.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app_log.h"
#include "flynn/sdk/gate.h"
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
/// what was stored and what comes. Its thread begins in prepare() and sends from activate() to quiesce().
/// Thread: prepare, activate, quiesce, stop [control]; else [any].
class LogPump {
 public:
  LogPump();
  ~LogPump();
  void prepare();
  void activate();
  /// Ends every stream without a word: readers open them again, and another instance answers.
  void quiesce();
  void stop();
  /// The reader's end of a stream, which is sent to from activate() on and has ended after quiesce(). `log` may be null
  /// (an app without logs): nothing comes, unless it follows.
  Result<UniqueFd> open(ReadRequest request, std::shared_ptr<AppLog> log);
  /// There is something new.
  void wake() { wake_.ask(); }
  std::size_t followers();

 private:
  struct Reader;
  void run(const StopSignal& stop);
  void serve_all(const std::vector<pollfd>& entries);
  /// False when it is finished or gone.
  bool serve(Reader& reader);
  bool fill(Reader& reader);
  void skip_if_behind(Reader& reader);

  StopSignal wake_;
  Gate gate_;
  std::list<std::unique_ptr<Reader>> served_;  // of who is inside the gate
  std::mutex mutex_;
  std::list<std::unique_ptr<Reader>> arrived_;  // not yet with the thread
  std::size_t readers_ = 0, followers_ = 0;
  bool ended_ = false;  // after quiesce()
  Worker worker_;
};

}  // namespace flynn::logs
