#include "swap_gate.h"

#include <cmath>
#include <cstdio>

namespace flynn::core {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::string decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

double rounded(double value) { return std::round(value * 100) / 100; }

// `what` is being compared: "calls", "work of its own".
std::optional<std::string> worse_work(const std::string& what, const CallFigures& old_one, const CallFigures& new_one,
                                      const GateLimits& limits) {
  const auto enough = static_cast<std::uint64_t>(limits.calls_min);
  if (new_one.calls < enough || new_one.calls == 0) return std::nullopt;
  const double errors = new_one.fault_percent(), errors_before = old_one.fault_percent();
  if (errors > errors_before + static_cast<double>(limits.error_points_max))
    return "errors: " + decimals(errors) + " % of " + std::to_string(new_one.calls) + " " + what +
           " failed in the new version, " + decimals(errors_before) + " % of " + std::to_string(old_one.calls) +
           " in the old one (allowed: " + std::to_string(limits.error_points_max) + " percentage points more)";
  // Errors are judged without an old one's figures, too; what is slow can only be told by comparing.
  if (old_one.calls < enough || old_one.calls == 0) return std::nullopt;
  const double allowed = static_cast<double>(limits.latency_factor_max) * old_one.mean_ms() +
                         static_cast<double>(limits.latency_margin_ms);
  if (new_one.mean_ms() > allowed)
    return "latency: " + what + " take " + decimals(new_one.mean_ms()) + " ms in the new version, " +
           decimals(old_one.mean_ms()) + " ms in the old one (allowed: " + decimals(allowed) + " ms)";
  return std::nullopt;
}

std::optional<std::string> grown(const char* what, std::int64_t before, std::int64_t now, std::int64_t limit) {
  if (now - before <= limit) return std::nullopt;
  return std::string(what) + ": " + std::to_string(before) + " before, " + std::to_string(now) +
         " now (allowed: " + std::to_string(limit) + " more)";
}

json::object document_of(const CallFigures& figures) {
  return {{"calls", figures.calls},
          {"failed", figures.faults},
          {"mean_ms", rounded(figures.mean_ms())},
          {"p99_ms", static_cast<double>(figures.p99_us()) / 1000}};
}

json::object document_of(const ProcessFigures& figures) {
  return {{"memory_bytes", figures.memory_bytes},
          {"descriptors", figures.descriptors},
          {"sockets", figures.sockets},
          {"threads", figures.threads}};
}

}  // namespace

std::optional<std::string> find_breach(const GateReading& reading, const GateLimits& limits) {
  if (!reading.sickness.empty()) return "health: " + reading.sickness;
  if (auto worse = worse_work("calls", reading.old_calls, reading.new_calls, limits)) return worse;
  if (auto worse = worse_work("requests", reading.old_own, reading.new_own, limits)) return worse;
  const auto &before = reading.before, &now = reading.now;
  if (auto more = grown("memory in MiB", before.memory_bytes / kMiB, now.memory_bytes / kMiB, limits.memory_mb_max))
    return more;
  if (auto more = grown("descriptors", before.descriptors, now.descriptors, limits.descriptors_max)) return more;
  if (auto more = grown("sockets", before.sockets, now.sockets, limits.sockets_max)) return more;
  return grown("threads", reading.old_threads, reading.new_threads, limits.threads_max);
}

json::object document_of(const GateReading& reading) {
  json::object older{{"calls", document_of(reading.old_calls)}, {"threads", reading.old_threads}};
  json::object newer{{"calls", document_of(reading.new_calls)}, {"threads", reading.new_threads}};
  if (reading.old_own.calls > 0) older["requests"] = document_of(reading.old_own);
  if (reading.new_own.calls > 0) newer["requests"] = document_of(reading.new_own);
  return {{"old", std::move(older)},
          {"new", std::move(newer)},
          {"process_before", document_of(reading.before)},
          {"process_now", document_of(reading.now)}};
}

}  // namespace flynn::core
