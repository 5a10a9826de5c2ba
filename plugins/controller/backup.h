/// Backups: the state of the cluster as an archive (plugin-api/backup) that is written while it is read.
///
/// One at a time. A thread "ctl-backup" writes to a socket whose other end is the answer's; memory is bounded by that
/// socket. Each has a record `backups/<id>` (ClusterBackup) and an event `cluster_backup` at its begin and its end.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "api_error.h"
#include "backup/archive_writer.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"
#include "store.h"

namespace flynn::controller {

/// Which layers of the blobstore go along: none, those that are no part of a stack of now, or all.
enum class BackupLayers { none, apps, all };

/// Borrows all that it is given. Thread: [any]; resume and stop [control].
class Backups {
 public:
  Backups(Door& door, Log& log, Store& store) : door_(door), log_(log), store_(store) {}
  ~Backups() { stop(); }

  /// Takes the snapshot and begins to write; the end to read from, which the caller owns. When it is closed early, the
  /// backup ends as `error`. `conflict`: one is running.
  Outcome<UniqueFd> begin(BackupLayers layers);
  /// The newest record; empty when there is none.
  Outcome<std::optional<json::object>> newest();
  /// Records that say `running` although nothing runs: their controller ended, or they came from an archive.
  void end_interrupted();

  void resume();
  /// Ends a running backup as `error`, and joins its thread. Until resume() none begins.
  void stop();

 private:
  struct Job {
    BackupLayers layers = BackupLayers::none;
    UniqueFd snapshot;
    std::int64_t revision = 0;
    std::string domain;
    json::object record;
  };
  Outcome<UniqueFd> prepare(Job& job);
  void run(const Job& job, const StopSignal& stop);
  Result<void> write(backup::ArchiveWriter& writer, const Job& job, const StopSignal& stop);
  Result<void> write_layers(backup::ArchiveWriter& writer, BackupLayers layers, const StopSignal& stop);
  Outcome<std::vector<std::string>> stack_layers();
  Verdict write_record(json::object& record);
  void release();

  Door& door_;
  Log& log_;
  Store& store_;
  std::mutex mutex_;  // of what follows; held for moments
  bool stopped_ = false, busy_ = false;
  std::string running_id_;
  UniqueFd out_;
  std::mutex worker_mutex_;  // starting and joining
  Worker worker_;
};

}  // namespace flynn::controller
