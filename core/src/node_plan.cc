// What a swap would do: gathers what the judge of swap_plan.h looks at, and what a running node can add to it.
#include <algorithm>

#include "in_time.h"
#include "node.h"
#include "own_figures.h"

namespace flynn::core {
namespace {

constexpr std::size_t kSwapsRemembered = 200, kSwapsForTheMedian = 20;
constexpr auto kFiguresPatience = std::chrono::milliseconds(500);

double number(const json::object& document, const char* member) {
  const auto* value = document.if_contains(member);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

// For as long as the operator said, whatever the plugin is like.
double waited(const json::object& swap) {
  const auto* phases = find_object(swap, "phases");
  return phases == nullptr ? 0 : number(*phases, "canary") + number(*phases, "probation");
}

// Newest last, in; the median of the newest, out: without the time of canary and probation.
std::optional<json::object> median_of_swaps(const json::array& entries, const char* of) {
  std::vector<double> totals;
  for (auto entry = entries.rbegin(); entry != entries.rend() && totals.size() < kSwapsForTheMedian; ++entry) {
    if (!entry->is_object()) continue;
    const auto& line = entry->get_object();
    if (string_or(line, "action") != "swap" || string_or(line, "outcome") != "committed") continue;
    if (const auto total = number(line, "total_ms"); total > 0) totals.push_back(total - waited(line));
  }
  if (totals.empty()) return std::nullopt;
  const auto middle = totals.begin() + static_cast<std::ptrdiff_t>(totals.size() / 2);
  std::nth_element(totals.begin(), middle, totals.end());
  return json::object{{"work_ms", *middle}, {"swaps", totals.size()}, {"of", of}};
}

// What is in the old one now and has to end or to move.
json::object load_of(const Slot& slot, std::chrono::milliseconds deadline) {
  json::object load{{"deadline_ms", deadline.count()}};
  const HazardGuard<Generation> guard(slot.current_place());
  auto* generation = guard.get();
  if (generation == nullptr) return load;
  // One of those inside is this very guard.
  const auto inside = wait_until_unguarded(*generation, Deadline::after(std::chrono::nanoseconds(0))).size();
  load["calls_inside"] = inside == 0 ? 0 : inside - 1;
  load["connections_move"] = generation->hands_over();
  OwnFigures figures;
  if (auto told = figures.ask(*generation, Deadline::after(kFiguresPatience))) load["figures"] = std::move(*told);
  return load;
}

}  // namespace

PlanInput Node::plan_input(const SlotPlan& entry, const Generation* old, const std::filesystem::path& file) const {
  PlanInput input;
  input.slot = entry.config.slot;
  input.running = old != nullptr;
  if (old != nullptr) {
    input.old_manifest = old->facts().manifest;
    input.old_digest = old->file().digest;
  }
  input.file = file;
  input.file_facts =
      in_time<ElfFacts>("read " + file.string(), config_.core.lifecycle, [file] { return probe_elf(file); });
  input.providers = door_.providers();
  const std::lock_guard lock(mutex_);
  if (old == nullptr) input.old_manifest = entry.manifest;
  input.old_config = entry.config_json;
  input.config_json = entry.config.config_json;
  for (const auto& [name, address] : config_.listeners) {
    const auto& allowed = entry.config.listeners;
    if (!allowed || std::find(allowed->begin(), allowed->end(), name) != allowed->end()) input.lent.push_back(name);
  }
  for (const auto& other : plans_) {
    if (other.get() == &entry || other->slot->current() == nullptr) continue;
    for (const auto& needs : other->manifest.requires_) input.dependants.push_back({other->config.slot, needs});
  }
  return input;
}

Result<json::object> Node::plan_swap(const std::string& slot, const std::filesystem::path& file,
                                     const SwapOptions& options) {
  auto known_entry = known(slot);
  if (!known_entry) return known_entry.error();
  auto* entry = *known_entry;
  PlanInput input;
  {
    const HazardGuard<Generation> guard(entry->slot->current_place());
    input = plan_input(*entry, guard.get(), file);
  }
  if (input.file_facts) input.new_digest = digest_of_file(file).value_or("");
  input.with_canary = options.canary_permille > 0;
  auto judged = core::plan_swap(input);
  auto document = std::move(judged.document);
  const auto filled = filled_in(options);
  if (input.file_facts) {
    const auto signature = signature_status(config_.trust, file, input.new_digest, judged.manifest.name);
    document["signature"] = signature.document();
    if (signature.refused) {
      document["verdict"] = "refused";
      document["reasons"].as_array().emplace_back(signature.words);
    }
  }
  // Where nothing runs, nothing drains and there is nothing to come back.
  auto waits = std::chrono::milliseconds(0);
  if (input.running) {
    document["drain"] = load_of(*entry->slot, *filled.drain);
    waits = *filled.probation;
  }
  document["probation_ms"] = waits.count();
  if (input.with_canary) {
    document["canary"] =
        json::object{{"share_permille", filled.canary_permille}, {"for_ms", filled.canary_for.count()}};
    waits += filled.canary_for;
  }
  auto expected = median_of_swaps(history_->last(slot, kSwapsRemembered), "slot");
  if (!expected) expected = median_of_swaps(history_->last("", kSwapsRemembered), "node");
  if (expected) (*expected)["ms"] = number(*expected, "work_ms") + static_cast<double>(waits.count());
  document["expected"] = expected ? json::value(std::move(*expected)) : json::value();
  if (const auto running = changes_.running(slot)) document["running_change"] = running->document();
  return document;
}

SwapOptions Node::filled_in(SwapOptions options) const {
  if (!options.drain) options.drain = config_.core.drain;
  if (!options.probation) options.probation = config_.core.probation();
  if (options.canary_for.count() == 0) options.canary_for = config_.core.canary_for;
  return options;
}

}  // namespace flynn::core
