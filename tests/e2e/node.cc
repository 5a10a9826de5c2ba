#include "node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace flynn::e2e {
namespace {

namespace fs = std::filesystem;

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

void write_file(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string stacks_dir() {
  const char* dir = std::getenv("FLYNN_TEST_STACKS");
  return dir == nullptr ? "/var/cache/flynn/stacks" : dir;
}

}  // namespace

Node::Node() {
  std::string pattern = "/tmp/flynn-e2e.XXXXXX";
  root_ = ::mkdtemp(pattern.data());
  for (int* port : {&ports_.http, &ports_.ssh, &ports_.api, &ports_.blob, &ports_.https, &ports_.git, &ports_.images,
                    &ports_.discovery, &ports_.host, &ports_.tcp})
    *port = free_port();
  write_config();
}

Node::~Node() {
  keeper_.stop(30s);
  const auto purged = purge();
  if (!purged.ok()) std::fprintf(stderr, "purge: %s\n", purged.out.c_str());
  if (std::getenv("FLYNN_TEST_KEEP") == nullptr) {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
}

std::string Node::plugin_path(const std::string& slot) const {
  if (slot == "redis") return FLYNN_REDIS_SO;
  return std::string(FLYNN_BUILD_DIR) + "/plugins/" + slot + "/" + slot + ".so";
}

void Node::write_config() const {
  std::ostringstream toml;
  // A second node of the same program has a bridge and a subnet of its own.
  static std::atomic<unsigned> nodes{0};
  const unsigned nth = nodes++;
  const auto number = static_cast<unsigned>(::getpid()) + nth;
  toml << "[node]\nname = \"node1\"\ndata_dir = \"" << data_dir() << "\"\nrun_dir = \"" << root_ << "/run\"\n"
       << "[log]\nlevel = \"info\"\nfile = \"" << root_ << "/host.log\"\n[admin]\nsocket = \"" << root_
       << "/admin.sock\"\n"
       << "[listeners]\n\"router.http\" = \"127.0.0.1:" << ports_.http
       << "\"\n\"builder.ssh\" = \"127.0.0.1:" << ports_.ssh << "\"\n\"controller.api\" = \"127.0.0.1:" << ports_.api
       << "\"\n\"blobstore.http\" = \"127.0.0.1:" << ports_.blob
       << "\"\n\"router.https\" = \"127.0.0.1:" << ports_.https << "\"\n\"builder.http\" = \"127.0.0.1:" << ports_.git
       << "\"\n\"images.http\" = \"127.0.0.1:" << ports_.images
       << "\"\n\"discovery.http\" = \"127.0.0.1:" << ports_.discovery
       << "\"\n\"host.http\" = \"127.0.0.1:" << ports_.host << "\"\n\"router.tcp\" = \"127.0.0.1:" << ports_.tcp << "-"
       << ports_.tcp << "\"\n";
  for (const char* slot : {"store", "discovery", "blobstore", "scheduler", "logs", "host", "controller", "router",
                           "builder", "images", "postgres", "redis"})
    toml << "[plugins." << slot << "]\npath = \"" << plugin_path(slot) << "\"\n";
  const std::string subnet =
      "10." + std::to_string(100 + number % 100) + "." + std::to_string((number / 100) % 16 * 16);
  toml << "[plugins.host.config]\nbridge = \"fl" << ::getpid() << "n" << nth << "\"\nsubnet = \"" << subnet
       << ".0/20\"\n"
       << "[plugins.discovery.config]\nhttp_url = \"http://127.0.0.1:" << ports_.discovery << "\"\ndns_address = \""
       << subnet << ".1\"\n"
       << "[plugins.controller.config]\ndomain = \"flynn.localhost\"\nstacks_file = \"" << stacks_dir()
       << "/stacks.json\"\nlayers_dir = \"" << stacks_dir() << "/layers\"\ntcp_port_first = " << ports_.tcp
       << "\ntcp_port_last = " << ports_.tcp << "\n"
       << "[plugins.builder.config]\nbuildpacks_dir = \"" << FLYNN_SOURCE_DIR << "/buildpacks\"\nsession_program = \""
       << FLYNN_GIT_SESSION << "\"\n";
  write_file(root_ + "/flynn.toml", toml.str());
}

RunOptions Node::with_environment(RunOptions options) const {
  options.env.try_emplace("FLYNNRC", root_ + "/flynnrc");
  options.env.try_emplace("FLYNN_ADMIN_SOCKET", root_ + "/admin.sock");
  options.env.try_emplace("HOME", root_ + "/home");
  options.env.try_emplace("GIT_CONFIG_GLOBAL", root_ + "/gitconfig");
  options.env.try_emplace("GIT_SSH_COMMAND", "ssh -i " + root_ +
                                                 "/home/.ssh/id_ed25519 -o IdentitiesOnly=yes -o BatchMode=yes "
                                                 "-o StrictHostKeyChecking=no -o UserKnownHostsFile=" +
                                                 root_ + "/known_hosts");
  return options;
}

bool Node::start(std::chrono::seconds within) {
  keeper_ = Background::start({FLYNN_HOST_PROGRAM, "run", "--config", root_ + "/flynn.toml"}, with_environment({}),
                              root_ + "/keeper.log");
  return eventually(within, [this] { return !keeper_.alive() || healthy(); }) && keeper_.alive();
}

bool Node::stop() { return keeper_.stop(30s); }

Outcome Node::purge() const {
  return run({FLYNN_HOST_PURGE, "--data-dir", data_dir() + "/plugins/host", "--run-dir", root_ + "/run/plugins/host"});
}

bool Node::introduce() {
  // Its route is the last that a first boot makes.
  if (!eventually(60s, [this] { return get("controller.flynn.localhost", "/ping", {"-f"}).ok(); })) return false;
  std::ifstream file(data_dir() + "/plugins/controller/auth_key");
  std::string key;
  std::getline(file, key);
  write_file(root_ + "/gitconfig",
             "[user]\n\tname = test\n\temail = test@flynn.localhost\n[init]\n\tdefaultBranch = "
             "master\n[safe]\n\tdirectory = *\n");
  fs::create_directories(root_ + "/home/.ssh");
  if (!fs::exists(root_ + "/home/.ssh/id_ed25519"))
    run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root_ + "/home/.ssh/id_ed25519"});
  const auto added =
      flynn({"cluster", "add", "-f", "-d", "--git-url", "ssh://git@127.0.0.1:" + std::to_string(ports_.ssh), "default",
             "http://controller.flynn.localhost:" + std::to_string(ports_.http), key});
  const auto keyed = flynn({"key", "add", root_ + "/home/.ssh/id_ed25519.pub"});
  if (!added.ok() || !keyed.ok()) std::fprintf(stderr, "introduce: %s%s\n", added.out.c_str(), keyed.out.c_str());
  return added.ok() && keyed.ok();
}

Outcome Node::flynn(const Args& args, const RunOptions& options) const {
  Args whole{FLYNN_PROGRAM};
  whole.insert(whole.end(), args.begin(), args.end());
  return run(whole, with_environment(options));
}

Background Node::start_flynn(const Args& args, const std::string& log) const {
  Args whole{FLYNN_PROGRAM};
  whole.insert(whole.end(), args.begin(), args.end());
  return Background::start(whole, with_environment({}), log);
}

Outcome Node::shell(const std::string& line) const { return run({"bash", "-c", line}, with_environment({})); }

json::object Node::call(const std::string& interface, const std::string& method, const json::object& body) const {
  const auto outcome = flynn({"plugin", "call", interface, method, json::serialize(body)}, {.timeout = 60s});
  auto document = parse_json_object(outcome.out);
  if (!outcome.ok() || !document) return {{"error", outcome.out}};
  return *document;
}

json::object Node::status() const {
  auto document = parse_json_object(flynn({"plugin", "status"}, {.timeout = 10s}).out);
  return document ? *document : json::object{};
}

bool Node::healthy() const { return bool_or(status(), "healthy"); }

pid_t Node::host_pid() const { return static_cast<pid_t>(int_or(status(), "pid", -1)); }

std::string Node::make_repository(const std::string& name, const std::map<std::string, std::string>& files) const {
  const std::string folder = root_ + "/work/" + name;
  fs::create_directories(folder);
  for (const auto& [path, text] : files) write_file(folder + "/" + path, text);
  const RunOptions here = with_environment({.folder = folder});
  run({"git", "init", "-q", "-b", "master"}, here);
  run({"git", "add", "-A"}, here);
  run({"git", "commit", "-q", "-m", "first"}, here);
  return folder;
}

Outcome Node::push(const std::string& repository) const {
  return run({"git", "push", "flynn", "master"}, with_environment({.folder = repository, .timeout = 300s}));
}

Outcome Node::push_sample(const std::string& sample, const std::string& app) const {
  const std::string folder = root_ + "/work/" + app;
  fs::create_directories(root_ + "/work");
  fs::copy(std::string(FLYNN_SOURCE_DIR) + "/examples/apps/" + sample, folder,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  make_repository(app, {});
  const auto created = flynn({"create", "-y", app}, {.folder = folder});
  if (!created.ok()) return created;
  return push(folder);
}

Outcome Node::get(const std::string& host, const std::string& path, const Args& more) const {
  Args args{"curl", "-sS", "--max-time", "15", "-H", "Host: " + host};
  args.insert(args.end(), more.begin(), more.end());
  args.push_back("http://127.0.0.1:" + std::to_string(ports_.http) + path);
  return run(args);
}

std::string Node::log() const { return run({"tail", "-n", "40", root_ + "/host.log", root_ + "/keeper.log"}).out; }

}  // namespace flynn::e2e
