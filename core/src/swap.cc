#include "swap.h"

#include <poll.h>

#include <algorithm>

#include "forever.h"
#include "reply_sink.h"

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

// How the process of a caged one ended, if it did.
std::optional<std::string> ended(const Generation& generation) {
  const auto end = generation.cage() == nullptr ? std::nullopt : generation.cage()->end();
  return end ? std::optional(end->words) : std::nullopt;
}

// How fast both control threads answer when nobody else wants the cores, how often in a row, and how long to hope for
// it.
constexpr std::chrono::microseconds kPrompt{200};
constexpr int kQuietTimes = 3;
constexpr std::chrono::milliseconds kQuietWithin{20};
constexpr int kHealthPollMinMs = 1, kHealthPollMaxMs = 20;
constexpr auto kCanarySlice = std::chrono::milliseconds(20), kPauseSlice = std::chrono::milliseconds(100),
               kStepEnds = std::chrono::milliseconds(500);

}  // namespace

Swap::Swap(Slot& slot, const CoreConfig& patience, SwapOptions options, EventLog& log, SwapHooks hooks)
    : slot_(slot),
      patience_(patience),
      options_(std::move(options)),
      log_(log),
      hooks_(std::move(hooks)),
      began_(Clock::now()) {}

Result<void> Swap::phase(const char* name, Milliseconds limit, const std::function<Result<void>()>& body) {
  if (hooks_.enter) hooks_.enter(name, limit);
  const auto start = Clock::now();
  auto result = body();
  report_.phases.push_back({name, ms_since(start)});
  return result;
}

void Swap::warn_of(const char* event, const Result<void>& result) {
  if (!result) log_.write(FLYNN_LOG_WARN, slot_.name(), event, {{"error", result.error().message}});
}

// Started and healthy: as good as in force.
Result<void> Swap::warm(Generation& next) {
  const auto limit = patience_.lifecycle;
  if (auto started = phase("start", limit, [&] { return next.start(after(limit)); }); !started) return started;
  started_ = true;
  return healthy(next);
}

Result<void> Swap::healthy(Generation& next) {
  return phase("health", patience_.healthy, [&]() -> Result<void> {
    const auto deadline = after(patience_.healthy);
    auto healthy = next.health(deadline);
    int wait = kHealthPollMinMs;
    while (!healthy && !deadline.passed() && healthy.error().code != Code::deadline_exceeded && !next.has_ended()) {
      ::poll(nullptr, 0, wait);
      wait = std::min(2 * wait, kHealthPollMaxMs);
      auto again = next.health(deadline);
      // Asked at the last moment it can't answer in time: its words before say more.
      if (!again && again.error().code == Code::deadline_exceeded && deadline.passed()) break;
      healthy = std::move(again);
    }
    return healthy;
  });
}

// The thread that swaps does nothing between the steps: each change of threads would cost the callers as much as a
// step.
Result<void> Swap::row(Generation& generation, std::vector<ControlStep> steps) {
  const auto count = steps.size();
  std::vector<ControlStep> limits;
  for (const auto& step : steps) limits.push_back({step.name, {}, step.limit});
  const auto enter = [&](std::size_t step) {
    if (hooks_.enter) hooks_.enter(limits[step].name, std::chrono::duration_cast<Milliseconds>(limits[step].limit));
  };
  std::size_t entered = 0;
  auto outcome = generation.run_row(std::move(steps), [&](std::size_t step) {
    hush(false);  // to tell of it costs less than it takes
    while (entered <= step) enter(entered++);
  });
  while (entered < std::min(std::max<std::size_t>(outcome.ms.size(), 1), count)) enter(entered++);
  for (std::size_t step = 0; step < outcome.ms.size(); ++step)
    report_.phases.push_back({limits[step].name, outcome.ms[step]});
  return std::move(outcome.result);
}

// Right after its configuration the new one's threads read what they need, and callers would wait for a core as well.
void Swap::wait_for_a_quiet_moment(Generation& old, Generation& next) const {
  const auto latest = after(kQuietWithin);
  for (int quiet = 0; quiet < kQuietTimes && !latest.passed();) {
    const auto begun = Clock::now();
    old.rehearse();
    next.rehearse();
    const bool prompt = Clock::now() - begun < kPrompt;
    quiet = prompt ? quiet + 1 : 0;
    if (!prompt) ::poll(nullptr, 0, 1);
  }
}

Result<void> Swap::exclusive_until_warm(Generation& old, Generation& next) {
  using Simple = Generation::Simple;
  wait_for_a_quiet_moment(old, next);
  hush(true);
  parked_ = Clock::now();
  slot_.park();
  slot_.hide_current();
  const auto sink = std::make_shared<ReplySink>();
  const auto patience = patience_.quiesce, limit = patience_.lifecycle;
  const auto nobody_inside = [&old, patience]() -> Result<void> {
    const auto inside = wait_until_unguarded(old, Deadline::after(patience));
    if (inside.empty()) return {};
    return Error{Code::deadline_exceeded, "calls are still inside the old version: " + joined(inside)};
  };
  // It ends by its own deadline, so `old` outlives it.
  const ControlStep wait{"wait for calls", nobody_inside, patience + kStepEnds};
  if (auto left = row(old, {old.step(Simple::quiesce, patience), wait, old.export_step(sink, limit)}); !left)
    return left;
  auto given = sink->take(FLYNN_OK);
  if (!given) return given.error();
  const auto state = std::make_shared<Reply>(std::move(*given));
  const auto before = report_.phases.size();
  auto warm = row(next, {next.import_step(state, limit), next.step(Simple::start, limit),
                         next.step(Simple::health, patience_.healthy)});
  const auto begun = report_.phases.size() - before;
  started_ = begun > 2;
  if (started_ && !warm && warm.error().code != Code::deadline_exceeded) return healthy(next);
  return warm;
}

// Calls wait: who watches is told when they go on.
void Swap::hush(bool quiet) {
  if (hooks_.hush) hooks_.hush(quiet);
}

Result<void> Swap::record() { return hooks_.before_work ? hooks_.before_work() : Result<void>{}; }

// All that may fail without anybody noticing.
Result<void> Swap::until_work(Generation& old, Generation& next) {
  gate_.emplace(old, patience_.gate, patience_.health_interval);
  // What has exported its state is asked nothing any more.
  if (exclusive_) gate_->freeze_old();
  if (exclusive_) {
    // Before anybody waits: it is written to disk.
    if (auto recorded = record(); !recorded) return recorded;
    return exclusive_until_warm(old, next);
  }
  if (auto ready = warm(next); !ready) return ready;
  gate_->begin(next);
  if (auto recorded = record(); !recorded) return recorded;
  return options_.canary_permille > 0 ? canary(old, next) : Result<void>{};
}

Result<void> Swap::not_given_up(const char* when) {
  const auto why = hooks_.given_up ? hooks_.given_up() : std::string();
  if (why.empty()) return {};
  breached_ = Clock::now();
  return Error{Code::cancelled, why + " during the " + when};
}

Result<void> Swap::look_at(const char* when) {
  if (auto on = not_given_up(when); !on) return on;
  const auto breach = gate_->look();
  report_.gate = gate_->figures();
  if (!breach) return {};
  breached_ = Clock::now();
  return Error{Code::failed_precondition, std::string(when) + ": " + *breach};
}

// False when the new one is given up.
bool Swap::pause(Milliseconds span) const {
  for (const auto end = after(span); !end.passed();) {
    if (hooks_.given_up && !hooks_.given_up().empty()) return false;
    ::poll(nullptr, 0, end.left_ms(static_cast<int>(kPauseSlice.count())));
  }
  return true;
}

// The old one stays in force and accepts; this share of calls and of its new connections goes to the new one, which is
// started but not activated: what must be done by one instance alone stays the old one's.
Result<void> Swap::canary(Generation& old, Generation& next) {
  ConnectionPump pump(old, next, patience_.lifecycle, log_);
  auto passed = phase("canary", options_.canary_for, [&]() -> Result<void> {
    slot_.set_canary(next, options_.canary_permille);
    const auto end = after(options_.canary_for);
    auto look = after(patience_.probation_interval);
    while (!end.passed()) {
      pump.share(options_.canary_permille, kCanarySlice);
      if (const auto gone = ended(old)) {
        breached_ = Clock::now();
        return Error{Code::failed_precondition, "canary: the version in force ended: " + *gone};
      }
      if (auto on = not_given_up("canary"); !on) return on;
      if (!look.passed() && !end.passed()) continue;
      if (auto well = look_at("canary"); !well) return well;
      look = after(patience_.probation_interval);
    }
    return {};
  });
  if (!passed) {
    slot_.end_canary();
    report_.back_ms = ms_since(breached_);
    // Where the old one has gone nobody waits for connections: its slot is filled again once this swap is over.
    if (!ended(old)) {
      if (pump.works()) pump.share(0, Milliseconds(1));
      hand_back(next, old);
    }
  }
  count(pump);
  if (!passed) return passed.error().context(kRolledBack);
  return passed;
}

Result<void> Swap::flip(Generation& old, Generation& next) {
  const auto limit = patience_.lifecycle;
  // Callers go on at once: what activate() has woken may keep this thread from it for a while.
  const auto pause = std::make_shared<double>(0);
  const ControlStep go_on{"go on",
                          [&slot = slot_, parked = parked_, pause]() -> Result<void> {
                            *pause = ms_since(parked);
                            slot.unpark();
                            return {};
                          },
                          limit};
  std::vector<ControlStep> steps{next.step(Generation::Simple::activate, limit)};
  if (exclusive_) steps.push_back(go_on);
  auto active = row(next, std::move(steps));
  if (exclusive_) report_.pause_ms = active ? *pause : ms_since(parked_);
  slot_.unpark();
  hush(false);
  if (exclusive_) gate_->begin(next);  // nobody waits for its figures
  if (!active || exclusive_) return active;
  // In overlap the old one still accepts: nothing is refused while the new one begins.
  return phase("quiesce", patience_.quiesce, [&] { return old.quiesce(after(patience_.quiesce)); });
}

Result<void> Swap::probation(ConnectionPump& pump) {
  const auto span = *options_.probation;
  if (span.count() == 0) return {};
  return phase("probation", span, [&]() -> Result<void> {
    for (const auto end = after(span); !end.passed();) {
      pause(std::min(patience_.probation_interval, Milliseconds(end.left_ms())));
      if (auto well = look_at("probation"); !well) return well;
      pump.move_idle(after(patience_.probation_interval));
    }
    return {};
  });
}

// Of a generation that never was in force, or is not any more.
void Swap::dispose(std::unique_ptr<Generation> unused) {
  gate_.reset();
  const auto inside = wait_until_unguarded(*unused, after(patience_.stop));
  if (!inside.empty()) {
    unused->abandon("calls never left it: " + joined(inside));
    report_.unmapped = false;
    report_.left_mapped_because = "calls never left it: " + joined(inside);
    keep_forever(std::shared_ptr<void>(std::move(unused)));
    return;
  }
  const auto retired = unused->retire(after(patience_.stop));
  report_.unmapped = retired.unmapped;
  report_.left_mapped_because = retired.why_not;
}

// The connections that the new one has already; what can't move ends there, within the drain's deadline.
void Swap::hand_back(Generation& next, Generation& old) {
  (void)phase("hand back", *options_.drain, [&]() -> Result<void> {
    const auto deadline = after(*options_.drain);
    warn_of("quiesce_failed", next.quiesce(after(patience_.quiesce)));
    ConnectionPump pump(next, old, patience_.lifecycle, log_);
    pump.move_all(deadline);
    count(pump);
    warn_of("drain_cut_short", next.drain(deadline));
    return {};
  });
}

void Swap::count(const ConnectionPump& pump) {
  report_.connections.moved += pump.count().moved;
  report_.connections.refused += pump.count().refused;
  report_.connections.lost += pump.count().lost;
}

// Before the flip: the old one goes on as if nothing had been.
void Swap::undo(std::unique_ptr<Generation> next) {
  if (exclusive_) {
    // What it has taken for itself alone, such as a lock, the old one needs again.
    if (started_) warn_of("quiesce_failed", next->quiesce(after(patience_.quiesce)));
    slot_.restore_current();
    warn_of("resume_failed", slot_.current()->resume(after(patience_.lifecycle)));
    slot_.unpark();
    hush(false);
  }
  (void)phase("unload the new one", patience_.stop, [&]() -> Result<void> {
    dispose(std::move(next));
    return {};
  });
}

// After the flip: first the old one is back in force, then the rest is put in order.
void Swap::roll_back(std::unique_ptr<Generation> old) {
  Generation& again = *old;
  Generation* next = slot_.current();
  if (exclusive_) {
    slot_.park();
    warn_of("quiesce_failed", next->quiesce(after(patience_.quiesce)));
  }
  auto failed = slot_.set_current(std::move(old));
  (void)phase("resume the old one", patience_.lifecycle, [&]() -> Result<void> {
    warn_of("resume_failed", again.resume(after(patience_.lifecycle)));
    slot_.unpark();
    return {};
  });
  if (breached_ != Clock::time_point{}) report_.back_ms = ms_since(breached_);
  if (!exclusive_) hand_back(*next, again);
  (void)phase("unload the new one", patience_.stop, [&]() -> Result<void> {
    dispose(std::move(failed));
    return {};
  });
}

void Swap::retire(std::unique_ptr<Generation> old, ConnectionPump& pump) {
  const auto drained = phase("drain", *options_.drain, [&] {
    const auto deadline = after(*options_.drain);
    pump.move_all(deadline);
    return old->drain(deadline);
  });
  if (!drained) log_.write(FLYNN_LOG_WARN, slot_.name(), "drain_cut_short", {{"why", drained.error().message}});
  count(pump);
  (void)phase("stop and unload", patience_.stop, [&]() -> Result<void> {
    dispose(std::move(old));
    return {};
  });
}

Result<void> Swap::run(std::unique_ptr<Generation> next) {
  Generation& fresh = *next;
  Generation& old = *slot_.current();
  exclusive_ = fresh.facts().manifest.swap == SwapMode::exclusive || old.facts().manifest.swap == SwapMode::exclusive;
  if (auto ready = until_work(old, fresh); !ready) {
    undo(std::move(next));
    return ready;
  }
  if (hooks_.enter) hooks_.enter("flip", Milliseconds(0));
  auto replaced = slot_.set_current(std::move(next));
  slot_.end_canary();
  auto good = flip(old, fresh);
  ConnectionPump pump(old, fresh, patience_.lifecycle, log_);
  if (good) {
    gate_->freeze_old();
    if (!exclusive_)
      (void)phase("hand over", patience_.hand_over, [&]() -> Result<void> {
        pump.move_idle(after(patience_.hand_over));
        return {};
      });
    good = probation(pump);
    if (good && hooks_.commit) good = hooks_.commit();
  }
  if (!good) {
    count(pump);
    roll_back(std::move(replaced));
    report_.total_ms = ms_since(began_);
    return good.error().context(kRolledBack);
  }
  retire(std::move(replaced), pump);
  report_.total_ms = ms_since(began_);
  return {};
}

}  // namespace flynn::core
