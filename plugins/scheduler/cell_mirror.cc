#include "cell_mirror.h"

#include <algorithm>

namespace flynn::scheduler {

CellMirror::CellMirror(Door& door, Log& log, std::function<void()> on_change)
    : door_(door), log_(log), on_change_(std::move(on_change)) {}

CellMirror::~CellMirror() { stop(); }

void CellMirror::start() {
  if (!mirrors_.empty()) return;
  for (const auto prefix : CellState::kPrefixes) {
    StoreMirrorHandler handler;
    handler.on_snapshot = [this, prefix](const RangeResult& all) { on_snapshot(prefix, all); };
    handler.on_events = [this, prefix](std::int64_t revision, const std::vector<StoreEvent>& events) {
      on_events(prefix, revision, events);
    };
    mirrors_.push_back(std::make_unique<StoreMirror>(door_, log_, std::string(prefix), std::move(handler)));
    mirrors_.back()->start("sch-" + std::string(prefix.substr(0, prefix.size() - 1)));
  }
}

void CellMirror::stop() { mirrors_.clear(); }

bool CellMirror::complete() const {
  const std::lock_guard lock(mutex_);
  return read_.size() == std::size(CellState::kPrefixes);
}

bool CellMirror::wait_for_jobs(std::int64_t revision, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return jobs_moved_.wait_for(lock, deadline.left(), [&] { return jobs_revision_ >= revision; });
}

Result<void> CellMirror::reread_jobs() {
  auto all = StoreClient(door_).range("jobs/");
  if (!all) return all.error().context("read the jobs");
  on_snapshot("jobs/", *all);
  return {};
}

void CellMirror::on_snapshot(std::string_view prefix, const RangeResult& all) {
  {
    const std::lock_guard lock(mutex_);
    state_.replace(prefix, all);
    read_.emplace(prefix);
    if (prefix == "jobs/") jobs_revision_ = std::max(jobs_revision_, all.revision);
  }
  jobs_moved_.notify_all();
  on_change_();
}

void CellMirror::on_events(std::string_view prefix, std::int64_t revision, const std::vector<StoreEvent>& events) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& event : events) {
      if (event.kind == EventKind::put) {
        state_.put(event.kv);
      } else {
        state_.erase(event.kv.key);
      }
    }
    if (prefix == "jobs/") jobs_revision_ = std::max(jobs_revision_, revision);
  }
  jobs_moved_.notify_all();
  on_change_();
}

void CellMirror::fetch(const std::string& key) {
  auto found = StoreClient(door_).get(key);
  if (!found || !*found) return;
  const std::lock_guard lock(mutex_);
  state_.put(**found);
}

void CellMirror::read_through(const json::object& request) {
  const auto app_id = string_or(request, "app_id");
  std::string release_id = string_or(request, "release_id");
  const auto missing = [&](const std::map<std::string, json::object> CellState::*map, const std::string& id) {
    const std::lock_guard lock(mutex_);
    return !id.empty() && id.size() <= 128 && !(state_.*map).contains(id);
  };
  if (missing(&CellState::apps, app_id)) fetch("apps/" + app_id);
  if (release_id.empty())
    with_state([&](CellState& state) {
      if (const auto app = state.apps.find(app_id); app != state.apps.end())
        release_id = string_or(app->second, "release");
    });
  if (missing(&CellState::releases, release_id)) fetch("releases/" + release_id);
  std::vector<std::string> artifacts;
  with_state([&](CellState& state) {
    if (const auto release = state.releases.find(release_id); release != state.releases.end())
      artifacts = strings_or_empty(release->second, "artifacts");
  });
  for (const auto& id : artifacts)
    if (missing(&CellState::artifacts, id)) fetch("artifacts/" + id);
}

}  // namespace flynn::scheduler
