#include "wire_node.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace flynn::wires {

WireNode::WireNode(bool caged) {
  std::string pattern = "/tmp/flynn-wires.XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  ::chmod(folder_.c_str(), 0711);  // for the users of cages
  core::NodeConfig config;
  config.file = folder_ + "/flynn.toml";
  config.data_dir = folder_ + "/data";
  config.run_dir = folder_ + "/run";
  config.cage_program = FLYNN_HOST_PROGRAM;
  config.core.drain = std::chrono::milliseconds(200);
  config.listeners = {{"discovery.http", "127.0.0.1:0"}};
  for (const auto& [slot, path, settings] :
       {std::tuple{"store", STORE_SO, "{}"}, {"discovery", DISCOVERY_SO, R"({"dns_address":""})"}}) {
    core::PluginConfig plugin;
    plugin.slot = slot;
    plugin.path = path;
    plugin.config_json = settings;
    plugin.cage.own_process = caged;
    config.plugins.push_back(plugin);
  }
  log_ = std::move(*core::EventLog::open(folder_ + "/log", "info"));
  auto listeners = core::Listeners::open(config.listeners);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listeners->lend("discovery.http")->get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  node_ = std::make_unique<core::Node>(config, std::move(*listeners), *log_);
  if (auto booted = node_->boot(); !booted) std::fprintf(stderr, "boot: %s\n", booted.error().message.c_str());
}

WireNode::~WireNode() {
  node_->shut_down();
  node_.reset();
  std::filesystem::remove_all(folder_);
}

std::string WireNode::swap_discovery() {
  auto swapped = node_->swap("discovery", DISCOVERY_SO, core::SwapOptions{}, {});
  return swapped ? "" : swapped.error().message;
}

}  // namespace flynn::wires
