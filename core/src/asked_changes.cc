#include "asked_changes.h"

#include <algorithm>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/uuid.h"

namespace flynn::core {
namespace {

constexpr std::size_t kWaitingMax = 32, kRememberedMax = 256;

}  // namespace

json::object AskedChange::document() const {
  json::object out{{"change", id},   {"slot", slot},         {"action", action}, {"who", who},
                   {"state", state}, {"in_force", in_force}, {"at", at}};
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
  for (std::size_t i = 0; i < workers_.size(); ++i)
    workers_[i].start("node-change-" + std::to_string(i), [this](const StopSignal& stop) { run(stop); });
}

void AskedChanges::stop() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  for (auto& worker : workers_) worker.ask_stop();
  {
    // Whoever has looked at the signal waits by now, and hears the notification.
    const std::lock_guard lock(mutex_);
  }
  arrived_.notify_all();
  for (auto& worker : workers_) worker.stop();
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
    waiting_.push_back({change.id, change.slot, std::move(work)});
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

void AskedChanges::update(const std::string& id, const std::function<void(AskedChange&)>& change) {
  AskedChange told;
  {
    const std::lock_guard lock(mutex_);
    auto found = std::find_if(known_.begin(), known_.end(), [&](const auto& known) { return known.id == id; });
    if (found == known_.end()) return;
    change(*found);
    told = *found;
  }
  told_(told);
}

std::optional<AskedChanges::Waiting> AskedChanges::take() {
  for (auto place = waiting_.begin(); place != waiting_.end(); ++place) {
    if (busy_.contains(place->slot)) continue;
    auto taken = std::move(*place);
    waiting_.erase(place);
    busy_.insert(taken.slot);
    return taken;
  }
  return std::nullopt;
}

void AskedChanges::run(const StopSignal& stop) {
  while (true) {
    std::optional<Waiting> next;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return (next = take()).has_value() || stop.asked(); });
    }
    if (!next) return;
    Result<json::object> outcome = Error{Code::cancelled, "the node is ending: nothing was changed"};
    if (!stop.asked()) {
      update(next->id, [](AskedChange& change) { change.state = "running"; });
      outcome = next->work([&] { update(next->id, [](AskedChange& change) { change.in_force = true; }); });
    }
    update(next->id, [&](AskedChange& change) {
      change.state = outcome ? "done" : "failed";
      change.in_force = outcome.ok();
      change.ended_at = now_rfc3339();
      if (outcome)
        change.result = *outcome;
      else
        change.error = outcome.error();
    });
    {
      const std::lock_guard lock(mutex_);
      busy_.erase(next->slot);
    }
    arrived_.notify_all();
  }
}

}  // namespace flynn::core
