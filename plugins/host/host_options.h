// The host plugin's configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flynn::host {

struct HostOptions {
  std::string host_id = "node1";
  std::string runtime = "auto";  // auto, crun, runc
  std::string bridge = "flynnbr0", subnet = "10.99.0.0/20";
  std::vector<std::uint16_t> host_ports_allowed;
  std::uint64_t log_bytes_max = 16u << 20;
  std::uint64_t memory_reserve_bytes = 256u << 20;
};

}  // namespace flynn::host
