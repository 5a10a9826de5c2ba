// The bridge that joins this machine's jobs, and the packet rules around it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "address_pool.h"
#include "flynn/sdk/result.h"

namespace flynn::host {

struct BridgeOptions {
  std::string name;   // at most 15 bytes
  std::string table;  // nftables table of family inet, ours alone
  Subnet subnet;
  std::vector<std::uint16_t> host_ports_allowed;  // what jobs may reach on this machine itself
};

/// Makes the bridge if it is not there, gives it the gateway's address, sets it up and turns on forwarding.
Result<void> ensure_bridge(const BridgeOptions& options);
/// Masquerades what leaves the subnet and lets jobs reach only host_ports_allowed of this machine. Replaces the table
/// as a whole, in one transaction of the kernel.
Result<void> ensure_packet_rules(const BridgeOptions& options);
/// The text that ensure_packet_rules() hands to libnftables.
std::string packet_rules(const BridgeOptions& options);
/// Bridge, veths on it and table go. What is not there is fine.
Result<void> remove_bridge(const std::string& name, const std::string& table);
/// "flynn_" and the host id with everything but letters, digits and _ replaced.
std::string table_name(const std::string& host_id);

}  // namespace flynn::host
