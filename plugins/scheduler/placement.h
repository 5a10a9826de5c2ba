// Placement: which host a job goes to, and whether it still fits.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cell_state.h"

namespace flynn::scheduler {

/// Limits of jobs are caps, not reservations, so hosts are filled beyond their capacity by these factors.
struct Overcommit {
  int memory_percent = 400;
  int cpu_percent = 1600;
};

struct Request {
  std::string app_id, type;
  Resources claim;
  std::map<std::string, std::string> tags;
  std::string only_host;  // empty: any
};

struct HostLoad {
  const HostState* host = nullptr;
  Resources limit, used;
  std::map<std::pair<std::string, std::string>, int> jobs_of;  // by app and type
  int jobs = 0;
};

/// The hosts with what their jobs claim; claims made here count for the next. Borrows the state. Pure.
class HostLoads {
 public:
  HostLoads(const CellState& cell, Overcommit overcommit);

  /// Of the hosts with the tags and room: the one with the fewest jobs of that app and type, then the least loaded.
  /// resource_exhausted names what is missing, failed_precondition: no host is up.
  Result<std::string> place(const Request& request) const;
  /// The re-check at commit.
  Result<void> check_fit(const std::string& host_id, const Resources& claim) const;
  void claim(const std::string& host_id, const Request& request);

  const std::map<std::string, HostLoad>& hosts() const { return hosts_; }

 private:
  std::map<std::string, HostLoad> hosts_;
};

}  // namespace flynn::scheduler
