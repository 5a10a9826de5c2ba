// JobSpec: what the scheduler wants to run on this machine (docs/state.md), checked before anything acts on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"

namespace flynn::host {

using std::chrono::milliseconds;

// Of one job: an image has 127 at most in Docker, and a release may have other artifacts beside it.
inline constexpr std::size_t kLayersMax = 160;

struct Layer {
  std::string id;            // hex SHA-512/256 of the squashfs file
  std::uint64_t length = 0;  // bytes; 0: unknown
};

enum class CheckType { tcp, http };

struct ServiceCheck {
  CheckType type = CheckType::tcp;
  std::string path = "/";
  milliseconds interval{2000};
  int threshold = 2;
  milliseconds start_timeout{60000};
};

struct JobPort {
  std::uint16_t port = 0;
  std::string service;  // empty: not announced
  std::optional<ServiceCheck> check;
};

struct JobMount {
  std::string source, target;
  bool writeable = false;
};

struct JobVolume {
  std::string name, path;
  bool delete_on_stop = false;
};

struct JobResources {
  std::uint64_t memory_bytes = 0;  // 0: unlimited
  std::uint32_t cpu_millis = 0;    // weight; 0: the default of 1,000
  std::uint32_t pids_max = 0;      // 0: kPidsMaxDefault
  std::uint64_t max_fd = 0;        // 0: kFdMaxDefault
};

struct JobSpec {
  std::string id, host_id, app_id, app_name, release_id, type, kind;
  std::vector<Layer> layers;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  std::string cwd;
  std::uint32_t uid = 5000, gid = 5000;
  bool tty = false, attach = false, use_stdin = false, log = true;
  std::uint16_t columns = 80, lines = 24;
  std::vector<JobPort> ports;
  std::vector<JobMount> mounts;
  std::vector<JobVolume> volumes;
  JobResources resources;
  json::object meta;
  milliseconds stop_timeout{10000}, timeout{0};
  std::string created_at;
};

/// invalid_argument names the member that is wrong.
Result<JobSpec> parse_job_spec(const json::object& document);

}  // namespace flynn::host
