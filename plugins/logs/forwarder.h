// Forwarder: the sinks of the store, each with a thread that sends the logs of all apps to it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "flynn/sdk/store.h"
#include "sink.h"

namespace flynn::logs {

inline constexpr unsigned kSinksMax = 16;

/// Learns from sinks/ which there are and from apps/ what the apps are called. Positions are in `folder`, a file a
/// sink; that of a sink which is gone goes. Borrows everything else. Thread: start, stop [control]; wake, status [any].
class Forwarder {
 public:
  Forwarder(Door& door, Log& log, LogStore& store, std::string folder);
  ~Forwarder() { stop(); }

  void start();
  /// Ends at once, whatever the sinks are waiting for.
  void ask_stop();
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

  void on_sinks(const RangeResult& all);
  void on_sink(const StoreEvent& event);
  void on_apps(const RangeResult& all);
  void on_app(const StoreEvent& event);
  void want(const std::string& id, Result<SinkConfig> config);
  void drop(const std::string& id);
  void start_waiting();
  std::optional<unsigned> free_number() const;
  void remove_strange_files(const RangeResult& all);
  std::string path_of(const std::string& id) const { return folder_ + "/" + id + ".json"; }

  Log& log_;
  LogStore& store_;
  const std::string folder_;
  AppNames names_;
  mutable std::mutex mutex_;
  std::map<std::string, Wanted> wanted_;  // changed by the mirror's thread alone
  StoreMirror sinks_, apps_;
};

}  // namespace flynn::logs
