#include "job_events.h"

#include <algorithm>

#include "active_job.h"
#include "http/sse.h"

namespace flynn::host {

const char* job_event(Phase before, const JobUnit& after) {
  if (before == after.phase) return nullptr;
  switch (after.phase) {
    case Phase::preparing:
      return "create";
    case Phase::running:
      return "start";
    case Phase::up:
      return before == Phase::running ? nullptr : "start";
    case Phase::down:
      return wire_status(after) == WireStatus::failed ? "error" : "stop";
    case Phase::none:
    case Phase::created:
    case Phase::stopping:
      return nullptr;
  }
  return nullptr;
}

class JobEvents::Listener : public http::Feed {
 public:
  explicit Listener(std::string job_id) : job_id_(std::move(job_id)) {}

  void offer(const std::string& job_id, const std::shared_ptr<const std::string>& bytes) {
    if (!job_id_.empty() && job_id != job_id_) return;
    const std::lock_guard lock(mutex_);
    if (overflowed_ || ended_) return;
    if (waiting_.size() >= kUndeliveredEventsMax)
      overflowed_ = true;
    else
      waiting_.push_back(bytes);
  }

  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }

  bool take(std::string& out) override {
    const std::lock_guard lock(mutex_);
    for (const auto& bytes : waiting_) out += *bytes;
    waiting_.clear();
    if (overflowed_)
      out += http::sse_error("more than " + std::to_string(kUndeliveredEventsMax) +
                             " events were not read in time; some are lost: read the list of jobs again");
    return !overflowed_ && !ended_;
  }

 private:
  const std::string job_id_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<const std::string>> waiting_;
  bool overflowed_ = false, ended_ = false;
};

std::shared_ptr<http::Feed> JobEvents::listen(std::string job_id) {
  auto listener = std::make_shared<Listener>(std::move(job_id));
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  listeners_.push_back(listener);
  return listener;
}

bool JobEvents::has_listeners() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(listeners_.begin(), listeners_.end(), [](const auto& weak) { return !weak.expired(); });
}

std::vector<std::shared_ptr<JobEvents::Listener>> JobEvents::alive() {
  std::vector<std::shared_ptr<Listener>> alive;
  const std::lock_guard lock(mutex_);
  for (const auto& weak : listeners_)
    if (auto listener = weak.lock()) alive.push_back(std::move(listener));
  return alive;
}

void JobEvents::publish(const std::string& job_id, const std::string& event) {
  const auto listeners = alive();
  if (listeners.empty()) return;
  const auto bytes = std::make_shared<const std::string>(http::sse_data(event));
  for (const auto& listener : listeners) listener->offer(job_id, bytes);
  wake_();
}

void JobEvents::end_all() {
  for (const auto& listener : alive()) listener->end();
  wake_();
}

}  // namespace flynn::host
