#include "zoo_node.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace flynn::core {

namespace {

// How many times longer than on a machine of our own all may take, on an emulated one. What hangs in the zoo does so
// for 3 s, and must still be found out.
int patience() {
  const char* times = std::getenv("FLYNN_TEST_PATIENCE");
  return times == nullptr ? 1 : std::clamp(std::atoi(times), 1, 4);
}

}  // namespace

std::string zoo_file(const std::string& animal) { return std::string(ZOO_DIR) + "/zoo_" + animal + ".so"; }

ZooNode::ZooNode(std::initializer_list<std::pair<const char*, const char*>> slots,
                 const std::function<void(NodeConfig&)>& change) {
  std::string pattern = "/tmp/flynn-zoo.XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  ::chmod(folder_.c_str(), 0711);  // for the users of cages
  config_.cage_program = FLYNN_HOST_PROGRAM;
  config_.file = folder_ + "/flynn.toml";
  config_.data_dir = folder_ + "/data";
  config_.run_dir = folder_ + "/run";
  auto& core = config_.core;
  core.gate.latency_margin_ms = 5;
  core.lifecycle = core.quiesce = core.stop = core.healthy = std::chrono::milliseconds(500) * patience();
  core.drain = std::chrono::milliseconds(200) * patience();
  core.health_interval = std::chrono::milliseconds(500);
  core.probation_interval = std::chrono::milliseconds(1);
  for (const auto& [slot, animal] : slots) {
    PluginConfig plugin;
    plugin.slot = slot;
    plugin.path = std::string(animal).find('/') == std::string::npos ? zoo_file(animal) : animal;
    config_.plugins.push_back(plugin);
  }
  config_.listeners = {{"zoo", "127.0.0.1:0"}};
  if (change) change(config_);
  log_ = std::move(*EventLog::open(folder_ + "/log", "info"));
  reboot();
}

ZooNode::~ZooNode() {
  node_->shut_down();
  node_.reset();
  std::filesystem::remove_all(folder_);
}

void ZooNode::reboot() {
  if (node_) node_->shut_down();
  auto listeners = Listeners::open(config_.listeners);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listeners->lend("zoo")->get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  node_ = std::make_unique<Node>(config_, std::move(*listeners), *log_);
  if (auto booted = node_->boot(); !booted) std::fprintf(stderr, "boot: %s\n", booted.error().message.c_str());
}

void ZooNode::set_file_config(const std::string& slot, const std::string& config_json) {
  for (auto& plugin : config_.plugins)
    if (plugin.slot == slot) plugin.config_json = config_json;
}

Result<SwapOutcome> ZooNode::swap(const std::string& animal, const std::string& slot) {
  return node_->swap(slot, zoo_file(animal), std::chrono::milliseconds(0), {});
}

Result<SwapOutcome> ZooNode::swap(const std::string& animal, const SwapOptions& options, const std::string& slot) {
  return node_->swap(slot, zoo_file(animal), options, {});
}

json::object ZooNode::plan(const std::string& animal, const std::string& slot, const SwapOptions& options) {
  auto document = node_->plan_swap(slot, zoo_file(animal), options);
  return document ? *document : json::object{{"error", document.error().message}};
}

json::object ZooNode::last_in_history(const std::string& slot) {
  const auto entries = node_->history().last(slot, 1);
  return entries.empty() ? json::object{} : entries.front().as_object();
}

Result<Reply> ZooNode::call(const std::string& method, const std::string& interface, const json::object& body) {
  return node_->door().call_as_operator(interface, method, body, Deadline::after(std::chrono::seconds(10)));
}

std::string ZooNode::version() {
  auto reply = call("Version");
  return reply ? string_or(reply->body, "version") : std::string(code_name(reply.error().code));
}

json::object ZooNode::describe(const std::string& slot) {
  auto document = node_->inspect(slot);
  return document ? *document : json::object{};
}

std::string ZooNode::state(const std::string& slot) { return string_or(describe(slot), "state"); }
std::string ZooNode::reason(const std::string& slot) { return string_or(describe(slot), "reason"); }
std::int64_t ZooNode::zombies(const std::string& slot) { return int_or(describe(slot), "zombies"); }

}  // namespace flynn::core
