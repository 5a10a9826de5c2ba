// The node's configuration file (TOML).
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"
#include "swap_gate.h"

namespace flynn::core {

/// `cage`: where a slot's plugin runs. Source of the choice: docs/decisions/0009-cages.md.
struct CageConfig {
  bool own_process = false;           ///< cage = "process"; "shared": in the host's process
  std::int64_t memory_mb = 512;       ///< private memory that it may ask for
  std::vector<std::string> may_read;  ///< paths beside the system's and its own folders
  std::vector<std::string> may_write;
  bool landlock = true, file_view = true;  ///< not of the file: tests raise one of the two alone
};

struct PluginConfig {
  std::string slot;
  std::filesystem::path path;
  CageConfig cage;
  /// The listening sockets that this slot may borrow; absent: those that its manifest names.
  std::optional<std::vector<std::string>> listeners;
  std::string config_json = "{}";
};

/// [core]: how patient the core is. Every value has a default that fits a production node.
struct CoreConfig {
  std::chrono::milliseconds drain{10'000};
  std::chrono::milliseconds lifecycle{30'000};  ///< create, configure, import, start, activate, each
  std::chrono::milliseconds quiesce{5'000};     ///< also the wait for calls inside an exclusive plugin
  std::chrono::milliseconds stop{10'000};
  std::chrono::milliseconds healthy{30'000};  ///< until a new instance must be healthy
  std::chrono::milliseconds health_interval{1'000};
  std::chrono::milliseconds retry_min{1'000};
  std::chrono::milliseconds retry_max{60'000};
  int probation_checks = 3;
  int crash_limit =
      3;  ///< after so many crashes of one plugin within crash_window it is not started again; 0: no limit
  std::chrono::milliseconds crash_window{60'000};
  std::chrono::milliseconds probation_interval{100};
  std::chrono::milliseconds hand_over{500};      ///< right after the flip, for the connections that are idle then
  std::chrono::milliseconds canary_for{60'000};  ///< of a canary for which no time was given
  GateLimits gate;

  /// When none is asked for.
  std::chrono::milliseconds probation() const { return probation_checks * probation_interval; }
};

enum class TrustPolicy {
  automatic,  ///< required as soon as one key is installed, off before
  required,   ///< only what a trusted key signed is loaded
  warn,       ///< what nobody trusted signed is loaded and told of; a wrong signature is refused
  off
};

/// [trust]: whose plugins this node loads.
struct TrustConfig {
  std::filesystem::path dir;  ///< NAME.pem: a public key each; empty: none
  TrustPolicy policy = TrustPolicy::automatic;
};

struct NodeConfig {
  std::filesystem::path file;
  std::string node = "node1";
  std::filesystem::path data_dir = "/var/lib/flynn";
  std::filesystem::path run_dir = "/run/flynn";
  std::string log_level = "info";
  std::filesystem::path log_file;  ///< empty: standard error
  std::filesystem::path admin_socket;
  std::map<std::string, std::string> listeners;  ///< name -> "address:port" or "address:first-last"
  std::vector<PluginConfig> plugins;             ///< in the order of the file
  CoreConfig core;
  TrustConfig trust;
  /// flynn-host itself, which cages are started from. Not of the file.
  std::filesystem::path cage_program = "/proc/self/exe";
};

/// invalid_argument names file, line and key. Unknown keys are errors: they are misspelt ones. Thread: [any].
Result<NodeConfig> load_node_config(const std::filesystem::path& file);

}  // namespace flynn::core
