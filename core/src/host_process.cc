#include "host_process.h"

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

int say(const Error& error) {
  std::fprintf(stderr, "flynn-host: %s\n", error.message.c_str());
  return 1;
}

int serve(Node& node, EventLog& log) {
  AdminMethods methods(node, [] { ask_to_stop(SIGTERM); });
  AdminServer admin(methods, log);
  if (auto listening = admin.start(node.config().admin_socket); !listening) return say(listening.error());
  if (auto booted = node.boot(); !booted) return say(booted.error());
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
  node.shut_down();
  admin.stop();
  return 0;
}

}  // namespace

int run_host_process(const std::filesystem::path& config_file) {
  // Without its keeper the host would hold sockets that nobody restarts.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  take_signals();
  auto config = load_node_config(config_file);
  if (!config) return say(config.error());
  const char* inherited = std::getenv(kListenersVariable);
  auto listeners = inherited != nullptr ? Listeners::inherit(inherited) : Listeners::open(config->listeners);
  if (!listeners) return say(listeners.error());
  ::unsetenv(kListenersVariable);
  std::error_code ignored;
  std::filesystem::create_directories(config->data_dir, ignored);
  auto log = EventLog::open(config->log_file, config->log_level);
  if (!log) return say(log.error());
  int code = 0;
  {
    Node node(std::move(*config), std::move(*listeners), **log);
    code = serve(node, **log);
  }
  // Zombies may still run in images that exit handlers would destroy under them.
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace flynn::core
