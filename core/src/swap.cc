#include "swap.h"

#include <poll.h>

#include "forever.h"

namespace flynn::core {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

constexpr int kHealthPollMs = 20;

}  // namespace

Swap::Swap(Slot& slot, const CoreConfig& patience, EventLog& log, SwapHooks hooks)
    : slot_(slot), patience_(patience), log_(log), hooks_(std::move(hooks)), began_(Clock::now()) {}

Result<void> Swap::phase(const char* name, const std::function<Result<void>()>& body) {
  if (hooks_.progress) hooks_.progress(name, ms_since(began_));
  const auto start = Clock::now();
  auto result = body();
  report_.phases.push_back({name, ms_since(start)});
  return result;
}

// Started and healthy: as good as in force.
Result<void> Swap::warm(Generation& next) {
  if (auto started = phase("start", [&] { return next.start(after(patience_.lifecycle)); }); !started) return started;
  return phase("health", [&]() -> Result<void> {
    const auto deadline = after(patience_.healthy);
    while (true) {
      auto healthy = next.health(deadline);
      if (healthy || deadline.passed() || healthy.error().code == Code::deadline_exceeded) return healthy;
      ::poll(nullptr, 0, kHealthPollMs);
    }
  });
}

Result<void> Swap::overlap_until_flip(Generation& next) { return warm(next); }

Result<void> Swap::exclusive_until_flip(Generation& old, Generation& next) {
  slot_.park();
  slot_.hide_current();
  if (auto quiet = phase("quiesce", [&] { return old.quiesce(after(patience_.quiesce)); }); !quiet) return quiet;
  auto left = phase("wait for calls", [&]() -> Result<void> {
    const auto inside = wait_until_unguarded(old, after(patience_.quiesce));
    if (inside.empty()) return {};
    return Error{Code::deadline_exceeded, "calls are still inside the old version: " + joined(inside)};
  });
  if (!left) return left;
  Reply state;
  auto exported = phase("export", [&]() -> Result<void> {
    auto given = old.export_state(after(patience_.lifecycle));
    if (!given) return given.error();
    state = std::move(*given);
    return {};
  });
  if (!exported) return exported;
  if (auto imported = phase("import", [&] { return next.import_state(state, after(patience_.lifecycle)); }); !imported)
    return imported;
  return warm(next);
}

Result<void> Swap::probation(Generation& next) {
  return phase("probation", [&]() -> Result<void> {
    for (int check = 0; check < patience_.probation_checks; ++check) {
      ::poll(nullptr, 0, static_cast<int>(patience_.probation_interval.count()));
      if (auto healthy = next.health(after(patience_.health_interval)); !healthy) return healthy;
    }
    return {};
  });
}

// Of a generation that never was in force, or is not any more.
void Swap::dispose(std::unique_ptr<Generation> unused) {
  const auto inside = wait_until_unguarded(*unused, after(patience_.stop));
  if (!inside.empty()) {
    unused->abandon("calls never left it: " + joined(inside));
    keep_forever(std::shared_ptr<void>(std::move(unused)));
    return;
  }
  const auto retired = unused->retire(after(patience_.stop));
  report_.unmapped = retired.unmapped;
  report_.left_mapped_because = retired.why_not;
}

// The old one is in force again; the new one goes.
void Swap::undo(std::unique_ptr<Generation> next, bool old_quiesced) {
  auto* old = slot_.current();
  if (old == nullptr) {
    slot_.restore_current();
    old = slot_.current();
  }
  if (old_quiesced && old != nullptr)
    if (auto resumed = old->resume(after(patience_.lifecycle)); !resumed)
      log_.write(FLYNN_LOG_ERROR, slot_.name(), "resume_failed", {{"error", resumed.error().message}});
  slot_.unpark();
  dispose(std::move(next));
}

void Swap::retire(std::unique_ptr<Generation> old, std::chrono::milliseconds drain) {
  const auto drained = phase("drain", [&] { return old->drain(after(drain)); });
  if (!drained) log_.write(FLYNN_LOG_WARN, slot_.name(), "drain_cut_short", {{"why", drained.error().message}});
  phase("stop and unload", [&]() -> Result<void> {
    dispose(std::move(old));
    return {};
  }).ok();
}

Result<SwapReport> Swap::run(std::unique_ptr<Generation> next, std::chrono::milliseconds drain) {
  Generation& fresh = *next;
  Generation* old = slot_.current();
  const bool exclusive =
      fresh.facts().manifest.swap == SwapMode::exclusive || old->facts().manifest.swap == SwapMode::exclusive;
  const auto parked = Clock::now();
  auto ready = exclusive ? exclusive_until_flip(*old, fresh) : overlap_until_flip(fresh);
  if (ready && hooks_.before_flip) ready = hooks_.before_flip();
  if (!ready) {
    undo(std::move(next), exclusive);
    return ready.error();
  }
  if (hooks_.progress) hooks_.progress("flip", ms_since(began_));
  auto replaced = slot_.set_current(std::move(next));
  auto active = phase("activate", [&] { return fresh.activate(after(patience_.lifecycle)); });
  if (exclusive) report_.pause_ms = ms_since(parked);
  slot_.unpark();
  // In overlap the old one still accepts: nothing is refused while the new one begins.
  if (!exclusive && active) active = phase("quiesce", [&] { return replaced->quiesce(after(patience_.quiesce)); });
  if (active) active = probation(fresh);
  if (!active) {
    const auto why = active.error();
    if (exclusive) {
      slot_.park();
      if (auto quiet = fresh.quiesce(after(patience_.quiesce)); !quiet)
        log_.write(FLYNN_LOG_WARN, slot_.name(), "quiesce_failed", {{"error", quiet.error().message}});
    }
    undo(slot_.set_current(std::move(replaced)), true);
    return why.context("rolled back");
  }
  retire(std::move(replaced), drain);
  report_.total_ms = ms_since(began_);
  return report_;
}

}  // namespace flynn::core
