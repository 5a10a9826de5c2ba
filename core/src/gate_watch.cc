#include "gate_watch.h"

namespace flynn::core {
namespace {

// The same span as the new one's where it says enough, otherwise all that the old one ever did.
CallFigures comparable(const CallFigures& whole, const CallFigures& at_begin, std::int64_t calls_min) {
  const auto span = whole.since(at_begin);
  return span.calls >= static_cast<std::uint64_t>(calls_min) ? span : whole;
}

}  // namespace

GateWatch::GateWatch(Generation& old_one, const GateLimits& limits, std::chrono::milliseconds patience)
    : old_(old_one), limits_(limits), patience_(patience) {
  read_old();
  old_calls_at_begin_ = reading_.old_calls;
  old_own_at_begin_ = reading_.old_own;
}

void GateWatch::begin(Generation& new_one) {
  new_ = &new_one;
  reading_.before = new_one.process_figures();
  threads_are_known_ = old_.thread_count() > 0;  // each has one at least
  reading_.old_threads = threads_are_known_ ? old_.thread_count() : reading_.before.threads;
}

void GateWatch::read_old() {
  reading_.old_calls = comparable(old_.calls().read(), old_calls_at_begin_, limits_.calls_min);
  if (const auto own = own_.counts(old_, soon()))
    reading_.old_own = comparable(*own, old_own_at_begin_, limits_.calls_min);
}

void GateWatch::freeze_old() {
  if (!frozen_) read_old();
  frozen_ = true;
}

std::optional<std::string> GateWatch::look() {
  if (!frozen_) read_old();
  reading_.new_calls = new_->calls().read();
  // Figures count from the activation (flynn.plugin/1).
  if (const auto own = own_.counts(*new_, soon())) reading_.new_own = *own;
  reading_.now = new_->process_figures();
  reading_.new_threads = threads_are_known_ ? new_->thread_count() : reading_.now.threads;
  auto healthy = new_->health(soon());
  reading_.sickness = healthy ? "" : healthy.error().message;
  return find_breach(reading_, limits_);
}

}  // namespace flynn::core
