#include "backup.h"

#include <sys/socket.h>

#include <algorithm>

#include "document.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"
#include "ident.h"

namespace flynn::controller {
namespace {

constexpr const char* kPrefix = "backups/";
constexpr std::size_t kRecordsMax = 50;
/// The store copies itself: some seconds for a gigabyte.
constexpr std::chrono::milliseconds kSnapshotTimeout{300'000};
/// A blob whose digest was lost is read as a whole before it is given.
constexpr std::chrono::milliseconds kBlobTimeout{60'000};
/// A client that takes nothing for so long has left.
constexpr std::chrono::seconds kReaderPatience{120};
constexpr const char* kBlobstore = "flynn.blobstore/1";

ApiError as_api_error(const Error& error, const std::string& doing) {
  const std::string message = doing + ": " + error.message;
  return error.code == Code::unavailable ? service_unavailable(message) : unknown_error(message);
}

Error as_error(const ApiError& error) { return Error{Code::unavailable, error.message}; }

/// What an archive does not hold, and how to keep it: an operator must not learn it on the day of the loss.
json::array left_out() {
  const auto item = [](const char* what, const char* instead) {
    return json::object{{"what", what}, {"instead", instead}};
  };
  return {
      item("the key of the store, without which store.snapshot can't be read", "copy the file store.key of the node"),
      item("databases", "flynn -a APP pg dump"),
      item("volumes, git repositories, build caches, logs", "copy the folders of host, builder and logs of the node"),
      item("the node's configuration and the controller's auth_key", "copy flynn.toml; a new node makes a new key")};
}

const char* name_of(BackupLayers layers) {
  return layers == BackupLayers::all ? "all" : layers == BackupLayers::apps ? "apps" : "none";
}

}  // namespace

Outcome<UniqueFd> Backups::begin(BackupLayers layers) {
  Job job;
  job.layers = layers;
  const std::string now = now_text();
  job.record = {{"v", 1},           {"id", new_uuid()},  {"status", "running"}, {"sha512", ""},           {"size", 0},
                {"error", nullptr}, {"created_at", now}, {"updated_at", now},   {"completed_at", nullptr}};
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return service_unavailable("the controller is being replaced");
    if (busy_) return conflict("a backup is being written already: wait for its end, GET /backup tells how it stands");
    busy_ = true;
    running_id_ = text_of(job.record, "id");
  }
  auto reader = prepare(job);
  if (!reader) {
    release();
    return reader.error();
  }
  // A worker that has ended is joined here; busy_ keeps everybody else out but stop().
  const std::lock_guard lock(worker_mutex_);
  worker_.stop();
  const std::lock_guard state(mutex_);
  if (stopped_) {
    out_.reset();
    busy_ = false;
    return service_unavailable("the controller is being replaced");
  }
  // std::function wants what can be copied.
  auto shared = std::make_shared<Job>(std::move(job));
  worker_.start("ctl-backup", [this, shared](const StopSignal& stop) { run(*shared, stop); });
  return std::move(*reader);
}

/// The snapshot before the record: in a restored cluster no backup is running.
Outcome<UniqueFd> Backups::prepare(Job& job) {
  auto snapshot = door_.call("flynn.store/1", "Snapshot", {}, kSnapshotTimeout);
  if (!snapshot) return as_api_error(snapshot.error(), "take a snapshot of the store");
  if (snapshot->fds.empty()) return unknown_error("the store's snapshot came without a descriptor");
  job.snapshot = std::move(snapshot->fds[0]);
  job.revision = number_of(snapshot->body, "revision");
  auto config = store_.get("cluster/config");
  if (!config) return config.error();
  if (*config) job.domain = text_of((*config)->value, "domain");
  auto ends = make_stream();
  if (!ends) return as_api_error(ends.error(), "answer with a stream");
  if (Verdict bad = write_record(job.record)) return *bad;
  const std::lock_guard lock(mutex_);
  out_ = std::move(ends->first);
  return std::move(ends->second);
}

void Backups::run(const Job& job, const StopSignal& stop) {
  int out = -1;
  {
    const std::lock_guard lock(mutex_);
    out = out_.get();
  }
  auto writer = backup::ArchiveWriter::open([&](std::string_view bytes) -> Result<void> {
    if (stop.asked()) return Error{Code::cancelled, "the controller was stopped or replaced"};
    auto written = write_all(out, bytes, Deadline::after(kReaderPatience));
    if (written) return written;
    if (stop.asked()) return Error{Code::cancelled, "the controller was stopped or replaced"};
    return written.error().context("send to the client, which has left or takes nothing");
  });
  Result<void> written = writer ? write(**writer, job, stop) : Result<void>(writer.error());
  json::object record = job.record;
  record["status"] = written ? "complete" : "error";
  record["updated_at"] = now_text();
  record["completed_at"] = record["updated_at"];
  if (writer) record["size"] = (*writer)->bytes_written();
  if (written) record["sha512"] = (*writer)->sha512();
  if (!written) {
    record["error"] = written.error().message;
    log_.warn("backup_failed", {{"id", text_of(record, "id")}, {"error", written.error().message}});
  }
  if (Verdict bad = write_record(record))
    log_.warn("backup_not_recorded", {{"id", text_of(record, "id")}, {"error", bad->message}});
  release();
}

Result<void> Backups::write(backup::ArchiveWriter& writer, const Job& job, const StopSignal& stop) {
  if (auto added = writer.add_file(std::string(backup::kStoreName), job.snapshot.get()); !added) return added;
  if (auto added = write_layers(writer, job.layers, stop); !added) return added;
  return writer.finish({{"version", FLYNN_VERSION},
                        {"created_at", text_of(job.record, "created_at")},
                        {"domain", job.domain},
                        {"revision", job.revision},
                        {"layers", name_of(job.layers)},
                        {"left_out", left_out()}});
}

/// Those of the stacks of now, sorted: scripts/up builds them.
Outcome<std::vector<std::string>> Backups::stack_layers() {
  auto config = store_.get("cluster/config");
  if (!config) return config.error();
  std::vector<std::string> ids;
  if (!*config) return ids;
  for (const auto& stack : object_of((*config)->value, "stacks")) {
    if (!stack.value().is_array()) continue;
    for (const json::value& layer : stack.value().get_array())
      if (layer.is_object()) ids.push_back(text_of(layer.get_object(), "id"));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<void> Backups::write_layers(backup::ArchiveWriter& writer, BackupLayers layers, const StopSignal& stop) {
  if (layers == BackupLayers::none) return {};
  auto stacks = stack_layers();
  if (!stacks) return as_error(stacks.error());
  std::string after;
  for (bool more = true; more;) {
    auto page = door_.call(kBlobstore, "List", {{"prefix", backup::kLayerPrefix}, {"after", after}});
    if (!page) return page.error().context("list the layers");
    more = flag_of(page->body, "more");
    for (const json::value& blob : array_of(page->body, "blobs")) {
      if (stop.asked()) return Error{Code::cancelled, "the controller was stopped or replaced"};
      after = text_of(blob.as_object(), "name");
      const std::string id = after.substr(backup::kLayerPrefix.size(), 64);
      if (layers == BackupLayers::apps && std::binary_search(stacks->begin(), stacks->end(), id)) continue;
      auto file = door_.call(kBlobstore, "Get", {{"name", after}}, kBlobTimeout);
      if (!file && file.error().code == Code::not_found) continue;  // deleted meanwhile
      if (!file) return file.error().context("read layer " + id);
      if (file->fds.empty()) return Error{Code::internal, "read layer " + id + ": it came without a descriptor"};
      if (auto added = writer.add_file(after, file->fds[0].get()); !added) return added;
    }
  }
  return {};
}

/// With its event; the oldest records beyond kRecordsMax go.
Verdict Backups::write_record(json::object& record) {
  const std::string id = text_of(record, "id");
  auto keys = store_.keys_newest_first(kPrefix);
  if (!keys) return keys.error();
  Change change;
  std::size_t others = 0;
  for (const std::string& key : *keys)
    if (key != kPrefix + id && ++others >= kRecordsMax) change.remove(key);
  change.put(kPrefix + id, record).event({"", "cluster_backup", id, public_form(record)});
  return store_.must_commit(change);
}

Outcome<std::optional<json::object>> Backups::newest() {
  auto keys = store_.keys_newest_first(kPrefix);
  if (!keys) return keys.error();
  if (keys->empty()) return std::optional<json::object>();
  auto record = store_.get(keys->front());
  if (!record) return record.error();
  return *record ? std::optional(public_form((*record)->value)) : std::nullopt;
}

void Backups::end_interrupted() {
  auto records = store_.range(kPrefix);
  if (!records) return log_.warn("backups_not_settled", {{"error", records.error().message}});
  for (Kv& kv : *records) {
    const std::string id = text_of(kv.value, "id");
    if (text_of(kv.value, "status") != "running") continue;
    {
      const std::lock_guard lock(mutex_);
      if (busy_ && running_id_ == id) continue;
    }
    kv.value["status"] = "error";
    kv.value["error"] = "the controller ended before the backup did: make another one";
    kv.value["updated_at"] = kv.value["completed_at"] = now_text();
    Change change;
    change.require(kv.key, kv.mod_revision).put(kv.key, kv.value);
    change.event({"", "cluster_backup", id, public_form(kv.value)});
    if (auto done = store_.commit(change); !done) log_.warn("backups_not_settled", {{"error", done.error().message}});
  }
}

/// The reader sees the end only now: whoever has seen it finds the record complete and may begin another one.
void Backups::release() {
  const std::lock_guard lock(mutex_);
  busy_ = false;
  running_id_.clear();
  out_.reset();
}

void Backups::resume() {
  const std::lock_guard lock(mutex_);
  stopped_ = false;
}

void Backups::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  const std::lock_guard lock(worker_mutex_);
  worker_.ask_stop();
  {
    // Wakes a writer that waits for its reader.
    const std::lock_guard state(mutex_);
    if (out_) ::shutdown(out_.get(), SHUT_RDWR);
  }
  worker_.stop();
}

}  // namespace flynn::controller
