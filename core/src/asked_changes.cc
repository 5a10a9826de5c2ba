#include "asked_changes.h"

#include "flynn/sdk/clock.h"
#include "flynn/sdk/uuid.h"

namespace flynn::core {
namespace {

constexpr std::size_t kWaitingMax = 32, kRememberedMax = 256;

}  // namespace

json::object AskedChange::document() const {
  json::object out{{"change", id}, {"slot", slot}, {"action", action}, {"who", who}, {"state", state}, {"at", at}};
  if (!ended_at.empty()) out["ended_at"] = ended_at;
  if (state == "done") out["result"] = result;
  if (state == "failed")
    out["error"] = json::object{{"code", std::string(code_name(error.code))}, {"message", error.message}};
  return out;
}

void AskedChanges::start() {
  {
    const std::lock_guard lock(mutex_);
    open_ = true;
  }
  worker_.start("node-changes", [this](const StopSignal& stop) { run(stop); });
}

void AskedChanges::stop() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  worker_.ask_stop();
  arrived_.notify_all();
  worker_.stop();
}

AskedChange* AskedChanges::entry(const std::string& id) {
  for (auto& change : known_)
    if (change.id == id) return &change;
  return nullptr;
}

Result<AskedChange> AskedChanges::ask(std::string slot, std::string action, std::string who, Work work) {
  AskedChange change;
  change.id = new_uuid();
  change.slot = std::move(slot);
  change.action = std::move(action);
  change.who = std::move(who);
  change.at = now_rfc3339();
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return Error{Code::unavailable, "the node is ending: ask again when it is up"};
    if (waiting_.size() >= kWaitingMax)
      return Error{Code::resource_exhausted,
                   std::to_string(kWaitingMax) + " changes of plugins wait already: ask again when some are done"};
    known_.push_back(change);
    waiting_.emplace_back(change.id, std::move(work));
    // The oldest are done: those that wait are the newest.
    if (known_.size() > kRememberedMax) known_.pop_front();
  }
  told_(change);
  arrived_.notify_one();
  return change;
}

Result<AskedChange> AskedChanges::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& change : known_)
    if (change.id == id) return change;
  return Error{Code::not_found, "no change \"" + id + "\" is remembered: the newest " + std::to_string(kRememberedMax) +
                                    " are, until the host ends"};
}

void AskedChanges::end(const std::string& id, Result<json::object> outcome) {
  AskedChange told;
  {
    const std::lock_guard lock(mutex_);
    auto* change = entry(id);
    if (change == nullptr) return;
    change->state = outcome ? "done" : "failed";
    change->ended_at = now_rfc3339();
    if (outcome)
      change->result = std::move(*outcome);
    else
      change->error = outcome.error();
    told = *change;
  }
  told_(told);
}

void AskedChanges::run(const StopSignal& stop) {
  while (true) {
    std::pair<std::string, Work> next;
    AskedChange begun;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return stop.asked() || !waiting_.empty(); });
      if (waiting_.empty()) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
      if (auto* change = entry(next.first); change != nullptr && !stop.asked()) {
        change->state = "running";
        begun = *change;
      }
    }
    if (stop.asked()) {
      end(next.first, Error{Code::cancelled, "the node is ending: nothing was changed"});
      continue;
    }
    told_(begun);
    end(next.first, next.second());
  }
}

}  // namespace flynn::core
