#include "store.h"

#include <sys/stat.h>

#include "documents.h"
#include "flynn/sdk/uuid.h"
#include "snapshot.h"
#include "txn_evaluator.h"

namespace flynn::store {
namespace {

std::int64_t file_bytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

json::object txn_document(const TxnOutcome& outcome, Revision revision) {
  return {{"succeeded", outcome.succeeded}, {"revision", revision}, {"results", results_document(outcome.results)}};
}

Result<LeaseId> require_lease(const json::object& body) {
  if (auto text = require_string(body, "lease"); !text) return text.error();
  return read_lease(body);
}

}  // namespace

Store::Store(StoreOptions options, ReadAhead loaded)
    : options_(std::move(options)),
      journal_(std::move(loaded.journal)),
      state_(std::move(loaded.state.keys), loaded.state.revision, loaded.state.compact_revision),
      checkpointer_(std::move(loaded.checkpointer)) {
  const auto now = LeaseClock::now();
  for (const auto& lease : loaded.state.leases)
    state_.leases.add(lease.id, std::chrono::milliseconds(lease.ttl_ms), now);
}

Store::~Store() { stop(); }

ReadAhead Store::read_ahead(const StoreOptions& options) {
  ReadAhead ahead;
  auto journal = SqliteJournal::open_beside(options.journal);
  if (!journal || !*journal) return {};
  ahead.journal = std::move(*journal);
  auto state = ahead.journal->load();
  if (!state) return {};
  ahead.state = std::move(*state);
  auto checkpointer = Checkpointer::start(options.journal);
  if (!checkpointer) return {};
  ahead.checkpointer = std::move(*checkpointer);
  auto reader = HistoryReader::open(options.journal);
  if (!reader) return {};
  ahead.reader = std::move(*reader);
  return ahead;
}

Result<std::unique_ptr<Store>> Store::open(const StoreOptions& options, Log& log, ReadAhead ahead) {
  if (ahead.reader) {
    if (auto taken = ahead.journal->take_over(ahead.state); !taken) return taken.error();
  } else {
    auto journal = SqliteJournal::open(options.journal);
    if (!journal) return journal.error();
    ahead.journal = std::move(*journal);
    auto state = ahead.journal->load();
    if (!state) return state.error();
    ahead.state = std::move(*state);
  }
  remove_stale_snapshots(options.journal);
  const auto purged = ahead.state.purged_revision;
  auto reader = std::move(ahead.reader);
  std::unique_ptr<Store> store(new Store(options, std::move(ahead)));
  if (auto started = store->start(log, purged, std::move(reader)); !started) return started.error();
  return store;
}

Result<void> Store::start(Log& log, Revision purged_revision, std::unique_ptr<HistoryReader> reader) {
  if (!checkpointer_) {
    auto checkpointer = Checkpointer::start(options_.journal);
    if (!checkpointer) return checkpointer.error();
    checkpointer_ = std::move(*checkpointer);
  }
  if (!reader) {
    auto opened = HistoryReader::open(options_.journal);
    if (!opened) return opened.error();
    reader = std::move(*opened);
  }
  auto hub = WatchHub::start(state_, std::move(reader));
  if (!hub) return hub.error();
  hub_ = std::move(*hub);
  writer_ =
      std::make_unique<Writer>(state_, *journal_, log,
                               Writer::Options{options_.history_revisions, purged_revision, [this] { hub_->notify(); },
                                               [this](int pages) { checkpointer_->note_wal_pages(pages); }});
  writer_->start();
  return {};
}

void Store::activate() {
  {
    const std::lock_guard lock(state_.lease_mutex);
    state_.leases.restart_all(LeaseClock::now());
  }
  writer_->activate();
}

Result<void> Store::quiesce() {
  if (auto done = writer_->quiesce(); !done) return done;
  journal_->release();
  return {};
}

Result<void> Store::resume() {
  if (auto done = journal_->reacquire(state_.revision); !done) return done;
  writer_->resume();
  return {};
}

void Store::drain(Deadline deadline) { hub_->finish(deadline); }

void Store::stop() {
  if (writer_) writer_->stop();
  if (hub_) hub_->stop();
  checkpointer_.reset();
}

Result<Reply> Store::call(std::string_view method, const json::object& body, Deadline deadline) {
  if (method == "Get") return get(body);
  if (method == "Range") return range(body);
  if (method == "Txn") return txn(body, deadline);
  if (method == "Watch") return watch(body);
  if (method == "LeaseGrant") return lease_grant(body, deadline);
  if (method == "LeaseKeepAlive") return lease_keep_alive(body);
  if (method == "LeaseRevoke") return lease_revoke(body, deadline);
  if (method == "Compact") return compact(body, deadline);
  if (method == "Snapshot") return snapshot();
  if (method == "Status") return status();
  return Error{Code::unimplemented, "flynn.store/1 has no method \"" + std::string(method) + "\""};
}

Result<Reply> Store::get(const json::object& body) {
  auto key = read_key(body, "key");
  if (!key) return key.error();
  std::optional<Row> row;
  Revision revision = 0;
  {
    const auto lock = state_.read_lock();
    revision = state_.revision;
    if (const Entry* entry = state_.keys.find(*key)) row = Row{*key, *entry};
  }
  json::object reply{{"kv", nullptr}, {"revision", revision}};
  if (row) reply["kv"] = kv_document(*row);
  return Reply(std::move(reply));
}

Result<Reply> Store::range(const json::object& body) {
  auto query = read_range(body);
  if (!query) return query.error();
  RangeRows rows;
  Revision revision = 0;
  {
    const auto lock = state_.read_lock();
    revision = state_.revision;
    rows = evaluate_range(state_.keys, *query);
  }
  auto reply = range_document(rows);
  reply["revision"] = revision;
  return Reply(std::move(reply));
}

Result<Reply> Store::txn(const json::object& body, Deadline deadline) {
  auto txn = read_transaction(body);
  if (!txn) return txn.error();
  if (txn->read_only()) {
    const auto lock = state_.read_lock();
    Staging staging(state_.keys);
    auto outcome = evaluate(*txn, staging, state_.revision + 1, [](LeaseId) { return true; });
    if (!outcome) return outcome.error();
    return Reply(txn_document(*outcome, state_.revision));
  }
  auto applied = writer_->submit(std::move(*txn), deadline);
  if (!applied) return applied.error();
  return Reply(txn_document(applied->outcome, applied->revision));
}

Result<Reply> Store::watch(const json::object& body) {
  auto interval = read_key_or_prefix(body);
  if (!interval) return interval.error();
  Revision now = 0;
  {
    const auto lock = state_.read_lock();
    now = state_.revision;
  }
  const auto first = find_int(body, "revision").value_or(now + 1);
  if (first < 1) return Error{Code::invalid_argument, "revision must be at least 1"};
  auto stream = hub_->add(std::move(*interval), first);
  if (!stream) return stream.error();
  return Reply({{"revision", now}}, std::move(*stream));
}

Result<Reply> Store::lease_grant(const json::object& body, Deadline deadline) {
  auto ttl = require_int(body, "ttl_ms");
  if (!ttl) return ttl.error();
  if (*ttl < kLeaseTtlMsMin || *ttl > kLeaseTtlMsMax)
    return Error{Code::invalid_argument, "ttl_ms must be 1000 to 3600000"};
  {
    const std::lock_guard lock(state_.lease_mutex);
    if (state_.leases.size() >= kLeasesMax) return Error{Code::resource_exhausted, "the store holds 100000 leases"};
  }
  const auto id = lease_from_text(random_hex(8)).value_or(1);
  auto applied = writer_->submit(GrantWork{{id, *ttl}}, deadline);
  if (!applied) return applied.error();
  return Reply({{"lease", lease_text(id)}, {"ttl_ms", *ttl}});
}

Result<Reply> Store::lease_keep_alive(const json::object& body) {
  auto lease = require_lease(body);
  if (!lease) return lease.error();
  const std::lock_guard lock(state_.lease_mutex);
  auto ttl = state_.leases.keep_alive(*lease, LeaseClock::now());
  if (!ttl) return ttl.error();
  return Reply({{"ttl_ms", ttl->count()}});
}

Result<Reply> Store::lease_revoke(const json::object& body, Deadline deadline) {
  auto lease = require_lease(body);
  if (!lease) return lease.error();
  auto applied = writer_->submit(RevokeWork{*lease}, deadline);
  if (!applied) return applied.error();
  return Reply();
}

Result<Reply> Store::compact(const json::object& body, Deadline deadline) {
  auto revision = require_int(body, "revision");
  if (!revision) return revision.error();
  auto applied = writer_->submit(CompactWork{*revision}, deadline);
  if (!applied) return applied.error();
  return Reply();
}

Result<Reply> Store::snapshot() {
  auto taken = take_snapshot(options_.journal);
  if (!taken) return taken.error().context("take a snapshot");
  return Reply({{"revision", taken->revision}}, std::move(taken->file));
}

Result<Reply> Store::status() {
  std::size_t leases = 0;
  {
    const std::lock_guard lock(state_.lease_mutex);
    leases = state_.leases.size();
  }
  const auto path = options_.journal.database_path();
  const auto lock = state_.read_lock();
  return Reply({{"provider", "store"},
                {"revision", state_.revision},
                {"compact_revision", state_.compact_revision.load()},
                {"keys", state_.keys.size()},
                {"bytes", file_bytes(path) + file_bytes(path + "-wal")},
                {"leases", leases},
                {"watchers", hub_->watchers()}});
}

}  // namespace flynn::store
