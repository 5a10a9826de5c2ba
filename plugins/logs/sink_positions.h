// SinkPositions: where one sink is in the log of each app.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "flynn/sdk/result.h"

namespace flynn::logs {

/// Two positions an app: up to `next` lines were handed to the connection, up to `confirmed` the peer's system has
/// them. Only the latter is kept in the file, and a connection that is lost goes back to it: what was under way is sent
/// again. Positions are those of AppLog, counts of bytes those of SinkConnection. Thread: its sink's; confirmed() is
/// [any].
class SinkPositions {
 public:
  explicit SinkPositions(std::string path) : path_(std::move(path)) {}

  /// False when there is no file: a sink that is new. invalid_argument when what is there can't be understood.
  Result<bool> load();
  /// Replaces the file as a whole, after its bytes are on the disk. The name is not synced: after a power failure the
  /// older file may be there, which repeats lines, but never half of one.
  Result<void> save();

  /// 0 for an app that is not known yet.
  std::uint64_t next(const std::string& app_id) const;
  /// Both positions, for what need not be sent.
  void set(const std::string& app_id, std::uint64_t position);
  /// Lines up to `position` are in the first `written` bytes of this connection.
  void sent(const std::string& app_id, std::uint64_t position, std::uint64_t written);
  /// The first `delivered` bytes of this connection have arrived.
  void confirm(std::uint64_t delivered);
  /// The connection is lost, the next one counts from 0.
  void rewind();
  void forget(const std::string& app_id);
  void forget_others_than(const std::set<std::string>& app_ids);

  bool awaits_confirmation() const { return !under_way_.empty(); }
  bool unsaved() const { return unsaved_; }
  /// An app that is not in it stands at 0.
  std::map<std::string, std::uint64_t> confirmed() const;

 private:
  struct UnderWay {
    std::string app_id;
    std::uint64_t position = 0, written = 0;
  };

  const std::string path_;
  std::map<std::string, std::uint64_t> next_;
  std::deque<UnderWay> under_way_;  // as long as the socket's buffer has messages at most
  bool unsaved_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> confirmed_;  // changed by the sink's thread alone
};

}  // namespace flynn::logs
