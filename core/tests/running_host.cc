#include "running_host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "flynn/sdk/stream.h"
#include "port_client.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

constexpr int kTries = 1000;
constexpr int kTryEveryMs = 10;
constexpr int kRangePorts = 3;

}  // namespace

RunningHost::RunningHost(Slots slots, const std::string& more, const std::string& core) {
  std::string pattern = "/tmp/flynn-running.XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  range_port_ = free_ports(kRangePorts);
  configure(slots, more, core);
  start();
}

RunningHost::~RunningHost() {
  if (keeper_ > 0) stop();
  std::filesystem::remove_all(folder_);
}

void RunningHost::configure(Slots slots, const std::string& more, const std::string& core) const {
  std::ofstream file(folder_ + "/flynn.toml");
  file << "[node]\ndata_dir = \"" << folder_ << "/data\"\nrun_dir = \"" << folder_ << "/run\"\n[log]\nfile = \""
       << folder_ << "/log\"\n[listeners]\n\"web\" = \"127.0.0.1:0\"\n\"range\" = \""
       << loopback_range(range_port_, kRangePorts) << "\"\n"
       << "[core]\nhealth_interval_ms = 200\nretry_min_ms = 50\nstop_ms = 500\ndrain_ms = 200\n"
       << core;
  for (const auto& [slot, animal] : slots)
    file << "[plugins." << slot << "]\npath = \""
         << (std::string(animal).find('/') == std::string::npos ? zoo_file(animal) : animal) << "\"\n"
         << (std::string(animal) == "greeter" ? "listeners = [\"web\"]\n" : "");
  file << more;
}

void RunningHost::start() {
  keeper_ = ::fork();
  if (keeper_ != 0) return;
  const int words = ::open((folder_ + "/keeper.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(words, 2);
  const rlimit no_cores{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_cores);
  const std::string config = folder_ + "/flynn.toml";
  ::execl(FLYNN_HOST_PROGRAM, "flynn-host", "run", "--config", config.c_str(), nullptr);
  ::_exit(127);
}

int RunningHost::stop() {
  ::kill(keeper_, SIGTERM);
  int status = 0;
  ::waitpid(keeper_, &status, 0);
  keeper_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void RunningHost::kill_all() {
  const auto host = static_cast<pid_t>(int_or(result("status"), "pid"));
  ::kill(keeper_, SIGKILL);
  ::waitpid(keeper_, nullptr, 0);
  keeper_ = -1;
  if (host > 1) ::kill(host, SIGKILL);
  wait_until([&] { return host <= 1 || ::kill(host, 0) != 0; });
}

json::object RunningHost::ask(const std::string& method, const json::object& params) const {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder_ + "/run/admin.sock").c_str(), sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  const auto request = json::serialize(json::object{{"method", method}, {"params", params}}) + "\n";
  if (!write_all(fd.get(), request, Deadline::after(std::chrono::seconds(1)))) return {};
  LineReader lines(std::move(fd));
  while (true) {
    auto status = lines.next(Deadline::after(std::chrono::seconds(10)));
    if (!status || *status != LineReader::Status::line) return {};
    auto document = parse_json_object(lines.text());
    if (!document || !document->contains("progress")) return document ? *document : json::object{};
  }
}

json::object RunningHost::result(const std::string& method, const json::object& params) const {
  const auto answer = ask(method, params);
  const auto* result = find_object(answer, "result");
  return result != nullptr ? *result : json::object{};
}

json::object RunningHost::call(const std::string& method) const {
  const auto answer = result("call", {{"interface", "zoo.animal/1"}, {"method", method}});
  const auto* body = find_object(answer, "body");
  return body != nullptr ? *body : json::object{};
}

json::object RunningHost::slot(const std::string& name) const {
  const auto list = result("plugin.list");
  if (const auto* plugins = find_array(list, "plugins"))
    for (const auto& plugin : *plugins)
      if (string_or(plugin.as_object(), "slot") == name) return plugin.as_object();
  return {};
}

std::vector<json::object> RunningHost::history() const {
  std::vector<json::object> entries;
  std::ifstream file(audit_file());
  for (std::string line; std::getline(file, line);)
    if (auto entry = parse_json_object(line)) entries.push_back(*entry);
  return entries;
}

json::object RunningHost::entry(const std::string& action) const {
  const auto entries = history();
  for (auto one = entries.rbegin(); one != entries.rend(); ++one)
    if (string_or(*one, "action") == action) return *one;
  return {};
}

pid_t RunningHost::wait_for_host(pid_t other) const {
  pid_t found = -1;
  wait_until([&] {
    const auto status = result("status");
    const auto pid = static_cast<pid_t>(int_or(status, "pid", -1));
    if (pid > 1 && pid != other && bool_or(status, "booted")) found = pid;
    return found > 1;
  });
  return found;
}

bool RunningHost::wait_until(const std::function<bool()>& done) {
  for (int i = 0; i < kTries; ++i) {
    if (done()) return true;
    ::poll(nullptr, 0, kTryEveryMs);
  }
  return false;
}

std::string RunningHost::text_of(const std::string& name) const {
  std::ifstream file(folder_ + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace flynn::core
