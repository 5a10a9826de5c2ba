#include "placement.h"

#include <algorithm>
#include <tuple>

namespace flynn::scheduler {
namespace {

std::string missing_room(const HostLoad& load, const Resources& claim) {
  std::string text;
  if (load.used.memory_bytes + claim.memory_bytes > load.limit.memory_bytes)
    text = std::to_string(claim.memory_bytes >> 20) + " MiB of memory asked for, " +
           std::to_string(std::max<std::int64_t>(load.limit.memory_bytes - load.used.memory_bytes, 0) >> 20) + " free";
  if (load.used.cpu_millis + claim.cpu_millis > load.limit.cpu_millis)
    text += (text.empty() ? "" : ", ") + std::to_string(claim.cpu_millis) + " CPU millis asked for, " +
            std::to_string(std::max<std::int64_t>(load.limit.cpu_millis - load.used.cpu_millis, 0)) + " free";
  return text;
}

// Exact, and far from overflow for any memory there is.
std::int64_t percent_of(std::int64_t whole, int percent) { return whole / 100 * percent + whole % 100 * percent / 100; }

double fullness(const HostLoad& load) {
  const auto part = [](std::int64_t used, std::int64_t limit) {
    return limit > 0 ? static_cast<double>(used) / static_cast<double>(limit) : 1.0;
  };
  return std::max(part(load.used.memory_bytes, load.limit.memory_bytes),
                  part(load.used.cpu_millis, load.limit.cpu_millis));
}

bool has_tags(const HostState& host, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& tag) {
    const auto found = host.tags.find(tag.first);
    return found != host.tags.end() && found->second == tag.second;
  });
}

}  // namespace

HostLoads::HostLoads(const CellState& cell, Overcommit overcommit) {
  for (const auto& [id, host] : cell.hosts) {
    auto& load = hosts_[id];
    load.host = &host;
    load.limit.memory_bytes = percent_of(host.capacity.memory_bytes, overcommit.memory_percent);
    load.limit.cpu_millis = percent_of(host.capacity.cpu_millis, overcommit.cpu_percent);
  }
  for (const auto& [id, job] : cell.jobs)
    if (job.occupies()) claim(job.host_id, Request{job.app_id, job.type, job.claim, {}, {}});
}

Result<std::string> HostLoads::place(const Request& request) const {
  if (hosts_.empty()) return Error{Code::failed_precondition, "no host is up"};
  const HostLoad* best = nullptr;
  std::tuple<int, double> best_score;
  std::string full;
  const std::pair kind(request.app_id, request.type);
  for (const auto& [id, load] : hosts_) {
    if (!request.only_host.empty() && id != request.only_host) continue;
    if (!has_tags(*load.host, request.tags)) continue;
    if (auto missing = missing_room(load, request.claim); !missing.empty()) {
      full = "host " + id + ": " + missing;
      continue;
    }
    const auto same = load.jobs_of.find(kind);
    const std::tuple score(same == load.jobs_of.end() ? 0 : same->second, fullness(load));
    if (best != nullptr && !(score < best_score)) continue;
    best = &load;
    best_score = score;
  }
  if (best != nullptr) return best->host->id;
  if (!full.empty()) return Error{Code::resource_exhausted, "no host has room (" + full + ")"};
  if (!request.only_host.empty())
    return Error{Code::resource_exhausted, "host " + request.only_host + ", where its volumes are, is not up"};
  return Error{Code::resource_exhausted, "no host has the tags that the formation asks for"};
}

Result<void> HostLoads::check_fit(const std::string& host_id, const Resources& claim) const {
  const auto found = hosts_.find(host_id);
  if (found == hosts_.end()) return Error{Code::failed_precondition, "host " + host_id + " is not up"};
  if (auto missing = missing_room(found->second, claim); !missing.empty())
    return Error{Code::resource_exhausted, "host " + host_id + " has no room: " + missing};
  return {};
}

void HostLoads::claim(const std::string& host_id, const Request& request) {
  const auto found = hosts_.find(host_id);
  if (found == hosts_.end()) return;  // gone; its jobs wait
  auto& load = found->second;
  load.used.memory_bytes += request.claim.memory_bytes;
  load.used.cpu_millis += request.claim.cpu_millis;
  ++load.jobs_of[{request.app_id, request.type}];
  ++load.jobs;
}

}  // namespace flynn::scheduler
