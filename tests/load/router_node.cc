#include "router_node.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "http_wire.h"

namespace flynn::load {
namespace {

constexpr std::int64_t kLeaseMs = 60'000;
constexpr int kRenewMs = 10'000;

core::PluginConfig plugin(const char* slot, const char* path, const char* config = "{}") {
  core::PluginConfig plugin;
  plugin.slot = slot;
  plugin.path = path;
  plugin.config_json = config;
  return plugin;
}

// Free just now; a range needs numbers.
int free_port() {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return 0;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

}  // namespace

RouterNode::RouterNode(int backend_port) : backend_port_(backend_port) {
  std::string pattern = "/tmp/flynn-load.XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  config_.file = folder_ + "/flynn.toml";
  config_.data_dir = folder_ + "/data";
  config_.run_dir = folder_ + "/run";
  tcp_port_ = free_port();
  const auto number = std::to_string(tcp_port_);
  config_.listeners = {{"router.http", "127.0.0.1:0"}, {"router.tcp", "127.0.0.1:" + number + "-" + number}};
  config_.plugins = {plugin("store", STORE_SO), plugin("discovery", DISCOVERY_SO, R"({"dns_address":""})"),
                     plugin("router", ROUTER_SO, R"({"threads":2,"access_log":false})")};
}

RouterNode::~RouterNode() {
  renewer_.stop();
  if (node_) node_->shut_down();
  node_.reset();
  std::filesystem::remove_all(folder_);
}

Result<Reply> RouterNode::call(const char* interface, const char* method, const json::object& body) {
  return node_->door().call_as_operator(interface, method, body, Deadline::after(std::chrono::seconds(10)));
}

std::string RouterNode::put(const std::string& key, const json::object& value) {
  const json::object put{{"put", {{"key", key}, {"value", value}}}};
  auto done = call("flynn.store/1", "Txn", {{"compare", json::array{}}, {"then", json::array{put}}});
  return done ? "" : "store " + key + ": " + done.error().message;
}

std::string RouterNode::start() {
  auto log = core::EventLog::open(folder_ + "/log", "info");
  if (!log) return log.error().message;
  log_ = std::move(*log);
  auto listeners = core::Listeners::open(config_.listeners);
  if (!listeners) return listeners.error().message;
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listeners->lend("router.http")->get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  node_ = std::make_unique<core::Node>(config_, std::move(*listeners), *log_);
  if (auto booted = node_->boot(); !booted) return "boot: " + booted.error().message;
  const json::object route{{"v", 1},
                           {"id", "r1"},
                           {"domain", kHost},
                           {"path", "/"},
                           {"service", "load-web"},
                           {"sticky", false},
                           {"parent_ref", "controller/apps/load"}};
  const json::object tcp_route{
      {"v", 1}, {"type", "tcp"}, {"id", "t1"}, {"port", tcp_port_}, {"service", "load-web"}, {"leader", false}};
  for (const auto& failure : {put("routes/http/r1", route), put("routes/tcp/t1", tcp_route)})
    if (!failure.empty()) return failure;
  auto lease = call("flynn.discovery/1", "Register",
                    {{"service", "load-web"},
                     {"id", "i1"},
                     {"addr", "127.0.0.1:" + std::to_string(backend_port_)},
                     {"ttl_ms", kLeaseMs}});
  if (!lease) return "register the app: " + lease.error().message;
  renewer_.start("load.renew", [this, id = lease->body.at("lease")](const StopSignal& stop) {
    while (!stop.wait(kRenewMs))
      (void)call("flynn.discovery/1", "Renew", {{"service", "load-web"}, {"id", "i1"}, {"lease", id}});
  });
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  Answer answer;
  while (!deadline.passed() && answer.status != 200) {
    if (!HttpWire::connect(tcp_port_).open()) continue;
    auto wire = HttpWire::connect(port_);
    wire.send(std::string("GET / HTTP/1.1\r\nHost: ") + kHost + "\r\nConnection: close\r\n\r\n");
    answer = wire.read_answer();
  }
  return answer.status == 200 ? "" : "the app does not answer: status " + std::to_string(answer.status);
}

Result<core::SwapOutcome> RouterNode::swap(const core::SwapOptions& options) {
  return node_->swap("router", ROUTER_SO, options, {});
}

Result<core::SwapOutcome> RouterNode::swap(const std::string& file, const core::SwapOptions& options) {
  return node_->swap("router", file, options, {});
}

std::string RouterNode::own_router() { return ROUTER_SO; }

void RouterNode::use_cages() {
  config_.cage_program = FLYNN_HOST_PROGRAM;
  ::chmod(folder_.c_str(), 0711);  // for the users of cages
  for (auto& plugin : config_.plugins) plugin.cage.own_process = true;
}

json::object RouterNode::describe(const std::string& slot) {
  auto document = node_->inspect(slot);
  return document ? *document : json::object{};
}

json::object RouterNode::router_figures() {
  auto reply = call("flynn.router/1", "Stats", {});
  return reply ? reply->body : json::object{};
}

}  // namespace flynn::load
