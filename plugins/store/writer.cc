#include "writer.h"

#include <pthread.h>

#include <algorithm>
#include <exception>

namespace flynn::store {
namespace {

constexpr Revision kPurgeRevisionsPerBatch = 1'000;
constexpr std::chrono::seconds kRetryAfterFailure{1};
constexpr std::chrono::seconds kQuiesceMax{5};
constexpr std::chrono::hours kNever{1};

// The wall of this thread: an exception becomes the answer of the one write that caused it.
Result<Applied> add_safely(WriteBatch& batch, const WriteWork& work) {
  try {
    return batch.add(work);
  } catch (const std::bad_alloc&) {
    return Error{Code::resource_exhausted, "the store is out of memory"};
  } catch (const std::exception& failure) {
    return Error{Code::internal, std::string("evaluate the transaction: ") + failure.what()};
  }
}

}  // namespace

Writer::Writer(StoreState& state, SqliteJournal& journal, Log& log, Options options)
    : state_(state),
      journal_(journal),
      log_(log),
      options_(std::move(options)),
      purged_revision_(options_.purged_revision) {}

void Writer::start() {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "store-writer");
}

void Writer::activate() {
  const std::lock_guard lock(mutex_);
  active_ = true;
  wake_.notify_one();
}

Result<void> Writer::quiesce() {
  std::unique_lock lock(mutex_);
  accepting_ = active_ = false;
  if (!idle_.wait_for(lock, kQuiesceMax, [this] { return queue_.empty() && !busy_; }))
    return Error{Code::deadline_exceeded, "quiesce the store: a commit has not ended within 5 s, the disk hangs"};
  return {};
}

void Writer::resume() {
  const std::lock_guard lock(mutex_);
  accepting_ = active_ = true;
  wake_.notify_one();
}

void Writer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    accepting_ = false;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

Result<Applied> Writer::submit(WriteWork work, Deadline deadline) {
  auto pending = std::make_shared<Pending>();
  pending->work = std::move(work);
  std::unique_lock lock(mutex_);
  if (!accepting_) return Error{Code::unavailable, "the store takes no writes now: it is being replaced or stopped"};
  if (queue_.size() >= kQueueRequestsMax)
    return Error{Code::resource_exhausted, "more than 16384 writes wait for the store"};
  queue_.push_back(pending);
  if (!busy_) wake_.notify_one();
  const auto answered = [&] { return pending->answer.has_value(); };
  if (deadline.is_none()) {
    pending->answered.wait(lock, answered);
  } else if (!pending->answered.wait_for(lock, deadline.left(), answered)) {
    return Error{Code::deadline_exceeded, "the write was not durable at the deadline; it may still become so"};
  }
  return std::move(*pending->answer);
}

Result<void> Writer::health() const {
  const std::lock_guard lock(mutex_);
  if (failure_) return Error{Code::unavailable, failure_->message};
  return {};
}

void Writer::run() {
  while (true) {
    auto work = take();
    {
      const std::lock_guard lock(mutex_);
      if (work.empty() && stopping_) return;
    }
    add_expired(work);
    process(work);
    const std::lock_guard lock(mutex_);
    busy_ = false;
    idle_.notify_all();
  }
}

std::vector<Writer::PendingPtr> Writer::take() {
  std::unique_lock lock(mutex_);
  const auto due = [this] { return stopping_ || !queue_.empty() || (active_ && next_wake() <= Clock::now()); };
  while (!due()) wake_.wait_until(lock, active_ ? next_wake() : Clock::now() + kNever);
  busy_ = true;
  const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kBatchRequestsMax));
  std::vector<PendingPtr> work(queue_.begin(), queue_.begin() + count);
  queue_.erase(queue_.begin(), queue_.begin() + count);
  return work;
}

Writer::Clock::time_point Writer::next_wake() {
  auto next = Clock::now() + kNever;
  {
    const std::lock_guard lock(state_.lease_mutex);
    next = std::min(next, state_.leases.next_check().value_or(next));
  }
  if (purge_due()) next = Clock::now();
  if (failure_) next = std::min(next, retry_at_);
  return std::max(next, retry_at_);
}

void Writer::add_expired(std::vector<PendingPtr>& work) {
  {
    const std::lock_guard lock(mutex_);
    if (!active_ || Clock::now() < retry_at_) return;
  }
  const std::lock_guard lock(state_.lease_mutex);
  for (const auto lease : state_.leases.expired(Clock::now())) {
    auto pending = std::make_shared<Pending>();
    pending->work = RevokeWork{lease};
    work.push_back(std::move(pending));
  }
}

void Writer::process(const std::vector<PendingPtr>& work) {
  WriteBatch batch(state_, Clock::now());
  std::vector<Result<Applied>> answers;
  answers.reserve(work.size());
  for (const auto& pending : work) answers.push_back(add_safely(batch, pending->work));
  plan_housekeeping(batch);
  if (batch.journal().empty()) return answer(work, std::move(answers));

  if (auto done = journal_.commit(batch.journal()); done) {
    committed(batch);
    return answer(work, std::move(answers));
  } else if (work.size() > 1) {
    // One large write must not fail those that would still fit: each again, alone.
    for (const auto& pending : work) process({pending});
  } else {
    failed(done.error());
    for (auto& each : answers)
      if (each) each = done.error();
    answer(work, std::move(answers));
  }
}

void Writer::plan_housekeeping(WriteBatch& batch) const {
  std::optional<Error> failure;
  {
    const std::lock_guard lock(mutex_);
    if (!active_) return;
    failure = failure_;
  }
  const auto compacted = state_.compact_revision.load();
  if (failure) {
    // Nothing but a small true write tells whether the disk takes writes again.
    if (batch.journal().empty()) batch.compact_to(compacted);
    return;
  }
  const auto slack = options_.history_revisions / 10 + 1;
  if (batch.revision() - compacted > options_.history_revisions + slack)
    batch.compact_to(
        std::max(batch.revision() - options_.history_revisions, batch.journal().compact_revision.value_or(0)));
  // Only what was compacted by an earlier commit: readers of the history must have been able to learn of it.
  if (purge_due()) batch.purge(purged_revision_, std::min(compacted, purged_revision_ + kPurgeRevisionsPerBatch));
}

void Writer::committed(WriteBatch& batch) {
  batch.apply(Clock::now());
  if (batch.journal().purge) purged_revision_ = batch.journal().purge->second;
  retry_at_ = {};
  // Said before health() does: who waits for health finds it in the log.
  if (!health()) log_.info("store_writes_again");
  {
    const std::lock_guard lock(mutex_);
    failure_.reset();
  }
  if (!batch.journal().revisions.empty()) options_.on_commit();
  options_.on_wal_pages(journal_.wal_pages());
}

void Writer::failed(const Error& error) {
  retry_at_ = Clock::now() + kRetryAfterFailure;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = !failure_;
    failure_ = error;
  }
  if (first) log_.error("store_write_failed", {{"error", error.message}});
}

void Writer::answer(const std::vector<PendingPtr>& work, std::vector<Result<Applied>> answers) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < work.size(); ++i) {
    work[i]->answer = std::move(answers[i]);
    work[i]->answered.notify_one();
  }
}

}  // namespace flynn::store
