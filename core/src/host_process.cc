#include "host_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "admin_server.h"
#include "data_lock.h"
#include "flynn/sdk/stream.h"
#include "node.h"

namespace flynn::core {
namespace {

// Written by the signal handler; the only way from there to the main thread.
int stop_event = -1;

void ask_to_stop(int) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_event, &one, sizeof one);
}

// Handlers, not masks nor SIG_IGN: those would be inherited by every program that a plugin starts.
void take_signals() {
  stop_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  action.sa_handler = [](int) {};
  ::sigaction(SIGPIPE, &action, nullptr);
  ::sigaction(SIGHUP, &action, nullptr);
}

// systemd's readiness protocol: one datagram to the socket that the environment names.
void tell_service_manager(const char* text) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(address.sun_path));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  [[maybe_unused]] const auto sent =
      ::sendto(fd.get(), text, std::strlen(text), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
}

// The keeper's standard error and, through it, the audit log have the words.
int say(const Error& error, int keeper = -1) {
  std::fprintf(stderr, "flynn-host: %s\n", error.message.c_str());
  const auto text = json::serialize(
      json::object{{"id", 0}, {"entry", {{"action", "host_failed"}, {"by", "core"}, {"outcome", error.message}}}});
  if (keeper >= 0) [[maybe_unused]]
    const auto sent = ::send(keeper, text.data(), text.size(), MSG_NOSIGNAL);
  return 1;
}

UniqueFd take_audit_socket() {
  const char* text = std::getenv(kAuditVariable);
  if (text == nullptr) return {};
  UniqueFd fd(std::atoi(text));
  ::unsetenv(kAuditVariable);
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

// Before anything of a plugin runs.
void prepare_for_crashes(Node& node, EventLog& log) {
  const auto file = node.config().data_dir / "core" / "crash.note";
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  if (auto note = take_crash_note(file)) node.remember_crash(std::move(*note));
  if (auto armed = arm_crash_notes(file); !armed)
    log.warn("crash_notes_off",
             {{"error", armed.error().message}, {"effect", "a crash can't be laid at a plugin's door"}});
}

int serve(Node& node, EventLog& log, int keeper) {
  AdminMethods methods(node, [] { ask_to_stop(SIGTERM); });
  AdminServer admin(methods, log);
  if (auto listening = admin.start(node.config().admin_socket); !listening) return say(listening.error(), keeper);
  if (auto booted = node.boot(); !booted) return say(booted.error(), keeper);
  bool told = false;
  while (true) {
    node.tend();
    if (!told && bool_or(node.status(), "healthy")) {
      told = true;
      log.info("node_healthy", {{"node", node.config().node}});
      tell_service_manager("READY=1\nSTATUS=every plugin is up");
    }
    pollfd entry{stop_event, POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(node.config().core.health_interval.count())) > 0) break;
  }
  log.info("node_stops", {{"node", node.config().node}});
  tell_service_manager("STOPPING=1");
  node.history().add({{"action", "stop"}, {"node", node.config().node}, {"outcome", "asked to"}});
  node.shut_down();
  admin.stop();
  return 0;
}

}  // namespace

int run_host_process(const std::filesystem::path& config_file) {
  // Without its keeper the host would hold sockets that nobody restarts.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::prctl(PR_SET_NAME, "flynn-host", 0, 0, 0);  // exec of /proc/self/exe made it "exe"
  take_signals();
  auto audit = take_audit_socket();
  const auto lock = DataLock::inherited();
  auto config = load_node_config(config_file);
  if (!config) return say(config.error(), audit.get());
  const char* inherited = std::getenv(kListenersVariable);
  auto listeners =
      inherited != nullptr ? Listeners::inherit(inherited, config->listeners) : Listeners::open(config->listeners);
  if (!listeners) return say(listeners.error(), audit.get());
  ::unsetenv(kListenersVariable);
  std::error_code ignored;
  std::filesystem::create_directories(config->data_dir, ignored);
  auto log = EventLog::open(config->log_file, config->log_level);
  if (!log) return say(log.error(), audit.get());
  if (auto keeper = audit ? duplicate(audit.get()) : UniqueFd(); keeper && *keeper)
    listeners->hand_over_to(std::move(*keeper), **log);
  int code = 0;
  {
    Node node(std::move(*config), std::move(*listeners), **log);
    const int keeper = audit.get();
    if (audit) node.use_audit_log(AuditLog::kept(std::move(audit), audit_file_of(node.config().data_dir), **log));
    prepare_for_crashes(node, **log);
    code = serve(node, **log, keeper);
  }
  // Zombies may still run in images that exit handlers would destroy under them.
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace flynn::core
