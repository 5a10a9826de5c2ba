#include "node_config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "flynn/sdk/json.h"
#include "manifest.h"
#include "port_range.h"

namespace flynn::core {
namespace {

constexpr std::size_t kPluginsMax = 128;

Error wrong(const NodeConfig& config, const toml::node& node, const std::string& what) {
  return Error{Code::invalid_argument,
               config.file.string() + " line " + std::to_string(node.source().begin.line) + ": " + what};
}

json::value to_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    json::object object;
    for (const auto& [key, value] : *table) object[std::string(key.str())] = to_json(value);
    return object;
  }
  if (const auto* list = node.as_array()) {
    json::array array;
    for (const auto& value : *list) array.push_back(to_json(value));
    return array;
  }
  if (const auto* text = node.as_string()) return json::value(text->get());
  if (const auto* number = node.as_integer()) return json::value(number->get());
  if (const auto* number = node.as_floating_point()) return json::value(number->get());
  if (const auto* truth = node.as_boolean()) return json::value(truth->get());
  std::ostringstream text;  // dates and times: as they are written
  text << toml::node_view<const toml::node>(node);
  return json::value(text.str());
}

/// Reads the members of one table; finish() complains of those that nobody asked for.
class Section {
 public:
  Section(const NodeConfig& config, std::string name, const toml::table* table)
      : config_(config), name_(std::move(name)), table_(table) {}

  template <typename T>
  void text(std::string_view key, T& value) {
    const auto* node = find(key);
    if (node == nullptr) return;
    if (const auto* string = node->as_string())
      value = string->get();
    else
      fail(*node, key, "must be a string");
  }
  void duration(std::string_view key, std::chrono::milliseconds& value) {
    std::int64_t count = value.count();
    integer(key, count);
    value = std::chrono::milliseconds(count);
  }
  void integer(std::string_view key, std::int64_t& value) {
    const auto* node = find(key);
    if (node == nullptr) return;
    const auto* number = node->as_integer();
    if (number == nullptr || number->get() < 0 || number->get() > 86'400'000)
      fail(*node, key, "must be a number from 0 to 86400000");
    else
      value = number->get();
  }
  const toml::node* find(std::string_view key) {
    known_.insert(std::string(key));
    return table_ == nullptr ? nullptr : table_->get(key);
  }
  void fail(const toml::node& node, std::string_view key, const std::string& what) {
    if (!error_) error_ = wrong(config_, node, name_ + "." + std::string(key) + " " + what);
  }
  Result<void> finish() {
    if (table_ != nullptr) {
      for (const auto& [key, node] : *table_) {
        if (!known_.contains(std::string(key.str()))) fail(node, key.str(), "is not a key of this section");
      }
    }
    if (error_) return *error_;
    return {};
  }

 private:
  const NodeConfig& config_;
  std::string name_;
  const toml::table* table_;
  std::set<std::string> known_;
  std::optional<Error> error_;
};

Result<void> read_gate(const toml::table* table, NodeConfig& config) {
  Section section(config, "core.gate", table);
  auto& gate = config.core.gate;
  section.integer("calls_min", gate.calls_min);
  section.integer("error_points_max", gate.error_points_max);
  section.integer("latency_factor_max", gate.latency_factor_max);
  section.integer("latency_margin_ms", gate.latency_margin_ms);
  section.integer("memory_mb_max", gate.memory_mb_max);
  section.integer("descriptors_max", gate.descriptors_max);
  section.integer("sockets_max", gate.sockets_max);
  section.integer("threads_max", gate.threads_max);
  return section.finish();
}

Result<void> read_core(const toml::table* table, NodeConfig& config) {
  Section section(config, "core", table);
  auto& core = config.core;
  section.duration("drain_ms", core.drain);
  section.duration("lifecycle_ms", core.lifecycle);
  section.duration("quiesce_ms", core.quiesce);
  section.duration("stop_ms", core.stop);
  section.duration("healthy_ms", core.healthy);
  section.duration("health_interval_ms", core.health_interval);
  section.duration("retry_min_ms", core.retry_min);
  section.duration("retry_max_ms", core.retry_max);
  section.duration("probation_interval_ms", core.probation_interval);
  section.duration("hand_over_ms", core.hand_over);
  section.duration("canary_ms", core.canary_for);
  std::int64_t checks = core.probation_checks;
  section.integer("probation_checks", checks);
  core.probation_checks = static_cast<int>(checks);
  std::int64_t crashes = core.crash_limit;
  section.integer("crash_limit", crashes);
  core.crash_limit = static_cast<int>(crashes);
  section.duration("crash_window_ms", core.crash_window);
  const auto* gate = section.find("gate");
  if (gate != nullptr && !gate->is_table()) section.fail(*gate, "gate", "must be a table");
  if (auto done = section.finish(); !done) return done;
  return read_gate(gate == nullptr ? nullptr : gate->as_table(), config);
}

Result<void> read_trust(const toml::table* table, NodeConfig& config) {
  Section section(config, "trust", table);
  std::string dir = "trust.d", policy;
  section.text("dir", dir);
  section.text("policy", policy);
  config.trust.dir = config.file.parent_path() / dir;
  const std::map<std::string, TrustPolicy> policies{
      {"required", TrustPolicy::required}, {"warn", TrustPolicy::warn}, {"off", TrustPolicy::off}};
  if (const auto found = policies.find(policy); found != policies.end())
    config.trust.policy = found->second;
  else if (const auto* node = section.find("policy"))
    section.fail(*node, "policy", "must be \"required\", \"warn\" or \"off\"");
  return section.finish();
}

Result<int> judge_range(const NodeConfig& config, const toml::node& node, const std::string& name,
                        const std::string& address) {
  auto range = PortRange::parse(address);
  if (!range) return wrong(config, node, "listeners." + name + " " + range.error().message);
  if (!is_range_name(name))
    return wrong(
        config, node,
        "listeners.\"" + name + "\": the name of a range has letters, digits, '.', '-' and '_', " + "at most 64");
  return range->size();
}

Result<void> read_listeners(const toml::table* table, NodeConfig& config) {
  if (table == nullptr) return {};
  int ports = 0;
  for (const auto& [key, node] : *table) {
    const auto* text = node.as_string();
    if (text == nullptr || text->get().rfind(':') == std::string::npos) {
      return wrong(
          config, node,
          "listeners." + std::string(key.str()) + " must be \"ADDRESS:PORT\" or, for a range, \"ADDRESS:FIRST-LAST\"");
    }
    if (PortRange::is_meant_by(text->get())) {
      auto size = judge_range(config, node, std::string(key.str()), text->get());
      if (!size) return size.error();
      ports += *size;
      if (ports > kRangePortsMax)
        return wrong(config, node,
                     "the ranges of listeners have " + std::to_string(ports) + " ports and more together, at most " +
                         std::to_string(kRangePortsMax));
    }
    config.listeners.emplace(key.str(), text->get());
  }
  return {};
}

void read_strings(Section& section, std::string_view key, std::vector<std::string>& values) {
  const auto* list = section.find(key);
  if (list == nullptr) return;
  const auto* names = list->as_array();
  if (names == nullptr) return section.fail(*list, key, "must be a list of strings");
  values.clear();
  for (const auto& name : *names) {
    if (const auto* text = name.as_string())
      values.push_back(text->get());
    else
      section.fail(name, key, "must be a list of strings");
  }
}

void read_cage(Section& section, CageConfig& cage) {
  std::string where = "shared";
  section.text("cage", where);
  cage.own_process = where == "process";
  if (const auto* node = section.find("cage"); node != nullptr && where != "process" && where != "shared")
    section.fail(*node, "cage", "must be \"shared\" (in the host's process) or \"process\" (in one of its own)");
  section.integer("memory_mb", cage.memory_mb);
  read_strings(section, "may_read", cage.may_read);
  read_strings(section, "may_write", cage.may_write);
  for (const auto* paths : {&cage.may_read, &cage.may_write})
    for (const auto& path : *paths)
      if (!path.starts_with('/'))
        section.fail(*section.find(paths == &cage.may_read ? "may_read" : "may_write"), "may_read and may_write",
                     "must be absolute paths");
}

Result<PluginConfig> read_plugin(const NodeConfig& config, const std::string& slot, const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr) return wrong(config, node, "plugins." + slot + " must be a table");
  if (!is_slot_name(slot)) {
    return wrong(config, node, "plugins.\"" + slot + "\": a slot is a letter, then letters, digits, '-' or '_'");
  }
  PluginConfig plugin;
  plugin.slot = slot;
  Section section(config, "plugins." + slot, table);
  std::string path;
  section.text("path", path);
  if (path.empty()) return wrong(config, node, "plugins." + slot + ".path is missing: the plugin's .so");
  plugin.path = config.file.parent_path() / path;  // an absolute path stays as it is
  read_cage(section, plugin.cage);
  if (section.find("listeners") != nullptr) read_strings(section, "listeners", plugin.listeners.emplace());
  if (const auto* own = section.find("config")) {
    if (own->is_table())
      plugin.config_json = json::serialize(to_json(*own));
    else
      section.fail(*own, "config", "must be a table");
  }
  if (auto done = section.finish(); !done) return done.error();
  return plugin;
}

Result<void> read_plugins(const toml::table* table, NodeConfig& config) {
  if (table == nullptr) return {};
  std::vector<std::pair<toml::source_index, PluginConfig>> plugins;  // toml++ sorts keys; the file's order is kept
  for (const auto& [key, node] : *table) {
    auto plugin = read_plugin(config, std::string(key.str()), node);
    if (!plugin) return plugin.error();
    plugins.emplace_back(node.source().begin.line, std::move(*plugin));
  }
  if (plugins.size() > kPluginsMax)
    return Error{Code::invalid_argument, config.file.string() + ": more than 128 plugins"};
  std::stable_sort(plugins.begin(), plugins.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [line, plugin] : plugins) config.plugins.push_back(std::move(plugin));
  return {};
}

Result<void> read_document(const toml::table& document, NodeConfig& config) {
  Section top(config, "file", &document);
  const auto table = [&](std::string_view key) -> const toml::table* {
    const auto* node = top.find(key);
    if (node != nullptr && !node->is_table()) top.fail(*node, key, "must be a table");
    return node == nullptr ? nullptr : node->as_table();
  };
  Section node(config, "node", table("node"));
  node.text("name", config.node);
  node.text("data_dir", config.data_dir);
  node.text("run_dir", config.run_dir);
  Section log(config, "log", table("log"));
  log.text("level", config.log_level);
  log.text("file", config.log_file);
  config.admin_socket = config.run_dir / "admin.sock";
  Section admin(config, "admin", table("admin"));
  admin.text("socket", config.admin_socket);
  const auto* core = table("core");
  const auto* trust = table("trust");
  const auto* listeners = table("listeners");
  const auto* plugins = table("plugins");
  for (auto* section : {&top, &node, &log, &admin}) {
    if (auto done = section->finish(); !done) return done;
  }
  if (auto read = read_core(core, config); !read) return read;
  if (auto read = read_trust(trust, config); !read) return read;
  if (auto read = read_listeners(listeners, config); !read) return read;
  return read_plugins(plugins, config);
}

}  // namespace

Result<NodeConfig> load_node_config(const std::filesystem::path& file) {
  NodeConfig config;
  config.file = std::filesystem::absolute(file);
  try {
    const auto document = toml::parse_file(config.file.string());
    if (auto read = read_document(document, config); !read) return read.error();
  } catch (const toml::parse_error& error) {
    return Error{Code::invalid_argument, config.file.string() + " line " + std::to_string(error.source().begin.line) +
                                             ": " + std::string(error.description())};
  }
  if (!is_slot_name(config.node)) {
    return Error{Code::invalid_argument, config.file.string() + ": node.name \"" + config.node + "\" is no plain name"};
  }
  const std::set<std::string> levels{"debug", "info", "warn", "error"};
  if (!levels.contains(config.log_level)) {
    return Error{Code::invalid_argument, config.file.string() + ": log.level must be debug, info, warn or error"};
  }
  return config;
}

}  // namespace flynn::core
