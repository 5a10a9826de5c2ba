// The admin methods that change a slot, plan a change or watch one.
#include <poll.h>

#include <array>
#include <cmath>

#include "admin_methods.h"

namespace flynn::core {
namespace {

constexpr std::int64_t kMillisecondsMax = 86'400'000;
constexpr unsigned kShareMax = 999;
// A phase that lasts is shown again this often.
constexpr int kWatchTickMs = 1000;

// Milliseconds as people read them.
double rounded(double ms) { return std::round(ms * 1000) / 1000; }

json::object document_of(const std::string& slot, const SwapOutcome& outcome) {
  json::array phases;
  for (const auto& phase : outcome.report.phases)
    phases.push_back(json::object{{"phase", phase.name}, {"ms", rounded(phase.ms)}});
  json::object document{{"slot", slot},
                        {"from", outcome.from},
                        {"to", outcome.to},
                        {"phases", std::move(phases)},
                        {"total_ms", rounded(outcome.report.total_ms)},
                        {"pause_ms", rounded(outcome.report.pause_ms)},
                        {"connections_moved", outcome.report.connections.moved},
                        {"connections_lost", outcome.report.connections.lost},
                        {"unmapped", outcome.report.unmapped}};
  if (outcome.taken_back) document["taken_back"] = true;
  if (!outcome.report.unmapped) document["left_mapped_because"] = outcome.report.left_mapped_because;
  return document;
}

Result<std::chrono::milliseconds> duration(const json::object& params, const char* member) {
  const auto* value = params.if_contains(member);
  if (value == nullptr || value->is_null()) return std::chrono::milliseconds(0);
  const auto ms = find_int(params, member);
  if (!ms || *ms < 0 || *ms > kMillisecondsMax)
    return Error{Code::invalid_argument, "member \"" + std::string(member) + "\" must be milliseconds, 0 to 86400000"};
  return std::chrono::milliseconds(*ms);
}

Result<SwapOptions> options_of(const json::object& params, const AdminClient& client) {
  SwapOptions options;
  options.who = client.who;
  options.wanted = [&client] { return !client.has_left(); };
  for (auto [member, place] :
       {std::pair{"canary_for_ms", &options.canary_for}, std::pair{"lock_wait_ms", &options.lock_wait}}) {
    auto span = duration(params, member);
    if (!span) return span.error();
    *place = *span;
  }
  for (auto [member, place] : {std::pair{"drain_ms", &options.drain}, std::pair{"probation_ms", &options.probation}}) {
    if (!params.contains(member)) continue;
    auto span = duration(params, member);
    if (!span) return span.error();
    *place = *span;
  }
  if (params.contains("canary_permille")) {
    const auto share = find_int(params, "canary_permille");
    if (!share || *share < 1 || *share > kShareMax)
      return Error{Code::invalid_argument, "member \"canary_permille\" must be a number from 1 to 999"};
    options.canary_permille = static_cast<unsigned>(*share);
  }
  return options;
}

}  // namespace

bool AdminClient::has_left() const {
  if (fd < 0) return false;
  pollfd entry{fd, 0, 0};
  return ::poll(&entry, 1, 0) > 0;
}

Result<json::object> AdminMethods::swap(const json::object& params, bool back, const AdminClient& client) {
  auto slot = require_string(params, "slot");
  if (!slot) return slot.error();
  auto options = options_of(params, client);
  if (!options) return options.error();
  const SwapProgress tell = [&](const std::string& phase, double elapsed_ms) {
    client.progress({{"slot", *slot}, {"phase", phase}, {"elapsed_ms", elapsed_ms}});
  };
  if (back) {
    auto outcome = node_.roll_back(*slot, tell, *options);
    if (!outcome) return outcome.error();
    return document_of(*slot, *outcome);
  }
  auto path = require_string(params, "path");
  if (!path) return path.error();
  auto outcome = node_.swap(*slot, *path, *options, tell);
  if (!outcome) return outcome.error();
  return document_of(*slot, *outcome);
}

Result<json::object> AdminMethods::plan(const json::object& params) {
  auto slot = require_string(params, "slot");
  if (!slot) return slot.error();
  auto path = require_string(params, "path");
  if (!path) return path.error();
  auto options = options_of(params, {});
  if (!options) return options.error();
  return node_.plan_swap(*slot, *path, *options);
}

Result<json::object> AdminMethods::watch(const json::object& params, const AdminClient& client) {
  const auto slot = string_or(params, "slot");
  if (!slot.empty() && !node_.has_slot(slot))
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  auto watcher = node_.changes().watch(slot);
  if (!watcher) return watcher.error();
  while (true) {
    std::array<pollfd, 3> entries{pollfd{(*watcher)->fd(), POLLIN, 0}, pollfd{client.fd, 0, 0},
                                  pollfd{client.stop_fd, POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), kWatchTickMs);
    if (entries[1].revents != 0 || entries[2].revents != 0) return json::object{{"ended", "the node stops"}};
    for (const auto& line : ready == 0 ? node_.changes().running_lines(slot) : (*watcher)->take())
      client.progress(line);
  }
}

Result<json::object> AdminMethods::configure(const json::object& params, const AdminClient& client) {
  auto slot = require_string(params, "slot");
  if (!slot) return slot.error();
  const auto* config = find_object(params, "config");
  if (config == nullptr) return Error{Code::invalid_argument, "member \"config\" must be an object"};
  auto options = options_of(params, client);
  if (!options) return options.error();
  auto live = node_.configure(*slot, json::serialize(*config), *options);
  if (!live) return live.error();
  return json::object{{"slot", *slot}, {"applied", *live ? "live" : "swap"}};
}

}  // namespace flynn::core
