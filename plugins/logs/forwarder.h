// Forwarder: the sinks of the store, each with a thread that sends the logs of all apps to it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/store.h"
#include "sink.h"

namespace flynn::logs {

inline constexpr unsigned kSinksMax = 16;

/// Learns from sinks/ which there are and from apps/ what the apps are called. Positions are in `folder`, a file a
/// sink; that of a sink which is gone goes. Its threads begin in prepare(); from activate() to quiesce() one of them
/// makes and ends the sinks. Borrows everything else. Thread: wake, status [any]; the rest [control].
class Forwarder {
 public:
  Forwarder(Door& door, Log& log, LogStore& store, std::string folder);
  ~Forwarder() { stop(); }

  void prepare();
  void activate();
  /// close(), and waits for what is inside: nothing is sent or written any more. Ends whatever sinks are waiting for.
  void quiesce();
  /// Begins quiesce().
  void close();
  void stop();
  /// There is something new in a log.
  void wake();
  /// [{"id","connected","behind_bytes","error"?}], in the order of ids.
  json::array status() const;

 private:
  struct Wanted {
    std::optional<SinkConfig> config;  // none: it can't be understood
    std::string error;                 // why there is no thread
    std::shared_ptr<Sink> sink;        // shared with status(), which looks at it without the lock
    unsigned number = 0;               // of the thread
  };
  using Configs = std::map<std::string, Result<SinkConfig>>;

  void on_sinks(const RangeResult& all);
  void on_sink(const StoreEvent& event);
  void note_sink(const StoreEvent& event);
  void on_apps(const RangeResult& all);
  void on_app(const StoreEvent& event);
  void run(const StopSignal& stop);
  void follow(const std::vector<std::string>& strange);
  void renew();
  void want(const std::string& id, const Result<SinkConfig>& config);
  void drop(const std::string& id);
  void start_waiting();
  std::optional<unsigned> free_number() const;
  std::vector<std::string> strange_files();
  std::vector<std::shared_ptr<Sink>> sinks() const;
  std::string path_of(const std::string& id) const { return folder_ + "/" + id + ".json"; }

  Door& door_;
  Log& log_;
  LogStore& store_;
  const std::string folder_;
  AppNames names_;
  StopSignal wake_;
  Gate gate_;
  mutable std::mutex mutex_;
  Configs configs_;                             // as the store says
  bool known_ = false;                          // the store has been read
  bool renew_ = false, compare_files_ = false;  // for the thread
  std::map<std::string, Wanted> wanted_;        // changed by who is inside the gate alone
  StoreMirror sinks_, apps_;
  Worker worker_;
};

}  // namespace flynn::logs
