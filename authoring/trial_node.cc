#include "trial_node.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

#include "reply_sink.h"

namespace flynn::authoring {
namespace {

int port_of_socket(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? ntohs(address.sin_port) : 0;
}

}  // namespace

TrialNode::TrialNode(const Trial& trial) {
  std::string pattern = (std::filesystem::temp_directory_path() / "flynn-trial.XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  config_.file = folder_ + "/flynn.toml";
  config_.data_dir = folder_ + "/data";
  config_.run_dir = folder_ + "/run";
  config_.core.lifecycle = config_.core.healthy = std::chrono::seconds(20);
  config_.core.drain = std::chrono::seconds(2);
  config_.core.probation_interval = std::chrono::milliseconds(10);
  auto files = trial.with;
  files.push_back({trial.plugin, trial.config_json});
  for (const auto& [file, config_json] : files) {
    auto manifest = core::verify_plugin(file);
    if (!manifest) {
      if (unreadable_.empty()) unreadable_ = manifest.error().message;
      continue;
    }
    core::PluginConfig plugin;
    const bool is_trial = file == trial.plugin;
    plugin.slot = is_trial ? kTrialSlot : manifest->name;
    plugin.path = std::filesystem::absolute(file);
    plugin.config_json = config_json;
    if (is_trial) manifest_ = *manifest;
    for (const auto& interface : manifest->provides)
      provided_.insert(interface.name + "/" + std::to_string(interface.major));
    // Sockets that it asks for are lent from the loopback.
    for (const auto& listener : manifest->listeners) config_.listeners.emplace(listener, "127.0.0.1:0");
    config_.plugins.push_back(std::move(plugin));
  }
}

TrialNode::~TrialNode() {
  if (node_) node_->shut_down();
  node_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string TrialNode::start() {
  if (!unreadable_.empty()) return unreadable_;
  auto log = core::EventLog::open(folder_ + "/log", "info");
  if (!log) return log.error().message;
  log_ = std::move(*log);
  return boot();
}

std::string TrialNode::boot() {
  auto listeners = core::Listeners::open(config_.listeners);
  if (!listeners) return listeners.error().message;
  for (const auto& [name, address] : config_.listeners)
    if (const auto socket = listeners->lend(name)) ports_[name] = port_of_socket(socket->get());
  node_ = std::make_unique<core::Node>(config_, std::move(*listeners), *log_);
  if (auto booted = node_->boot(); !booted) return booted.error().message;
  std::string last;
  for (const auto end = Deadline::after(config_.core.healthy); !end.passed();) {
    node_->tend();
    auto facts = node_->inspect(kTrialSlot);
    if (!facts) return facts.error().message;
    const auto state = string_or(*facts, "state");
    if (state == "up") return {};
    if (state == "failed") return string_or(*facts, "reason");
    if (state == "waiting") return string_or(*facts, "reason") + " (give a plugin that does: --with FILE.so)";
    last = state + (string_or(*facts, "reason").empty() ? "" : ": " + string_or(*facts, "reason"));
  }
  return "it was not up within " + std::to_string(config_.core.healthy.count() / 1000) + " s, but " + last;
}

std::string TrialNode::restart() {
  node_->shut_down();
  node_.reset();
  if (auto wrong = boot(); !wrong.empty()) return "it does not start again: " + wrong;
  return {};
}

bool TrialNode::provides(std::string_view interface) const { return provided_.contains(std::string(interface)); }

int TrialNode::port_of(const std::string& listener) const {
  const auto found = ports_.find(listener);
  return found == ports_.end() ? 0 : found->second;
}

Result<Reply> TrialNode::call(std::string_view interface, std::string_view method, std::string_view body,
                              const std::vector<int>& fds, std::chrono::milliseconds within) {
  constexpr std::string_view caller = "operator";
  flynn_call call{};
  call.struct_size = sizeof call;
  call.interface = {interface.data(), interface.size()};
  call.method = {method.data(), method.size()};
  call.body = {body.data(), body.size()};
  call.caller = {caller.data(), caller.size()};
  call.fds = fds.data();
  call.fd_count = static_cast<std::uint32_t>(fds.size());
  call.deadline_ns = Deadline::after(within).ns;
  core::ReplySink sink;
  return sink.take(node_->door().pass(call, sink.table()));
}

std::string TrialNode::end_fault() const {
  for (const auto& line : log_->recent().last(kTrialSlot, core::kRecentLinesMax)) {
    const auto text = string_or(line.as_object(), "text");
    for (const auto* event : {"quiesce_failed", "drain_cut_short", "plugin_zombie"})
      if (text.starts_with(std::string("event=") + event)) return text;
  }
  return {};
}

Result<core::SwapOutcome> TrialNode::swap() {
  core::SwapOptions options;
  options.probation = std::chrono::milliseconds(0);  // its gate judges versions; this is one and the same
  return node_->swap(kTrialSlot, config_.plugins.back().path, options, {});
}

}  // namespace flynn::authoring
