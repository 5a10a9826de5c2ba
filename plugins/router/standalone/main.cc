// The data plane as a program of its own, for benchmarks and a quick try:
//   router_standalone --listen 127.0.0.1:8080 [--threads N] DOMAIN=BACKEND_IP:PORT[,IP:PORT…] …
// Prints "port N" when it accepts; SIGTERM or SIGINT drains for at most five seconds.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "engine/data_plane.h"
#include "flynn/sdk/unique_fd.h"

namespace {

using flynn::UniqueFd;

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "router_standalone: %s\n", text.c_str());
  std::exit(2);
}

UniqueFd listen_on(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in name{};
  name.sin_family = AF_INET;
  if (colon == std::string::npos || ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr) != 1)
    die("--listen wants IP:PORT, not " + address);
  name.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(fd.get(), 1024) != 0)
    die("can't listen on " + address);
  socklen_t size = sizeof name;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &size);
  std::printf("port %d\n", ntohs(name.sin_port));
  return fd;
}

void add_route(flynn::router::RouteTableBuilder& builder, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) die("a route is DOMAIN=IP:PORT, not " + text);
  const auto domain = text.substr(0, equals);
  builder.put_route({domain, domain, "/", domain, "", false});
  std::string_view rest = std::string_view(text).substr(equals + 1);
  for (int index = 0; !rest.empty(); ++index) {
    const auto comma = rest.find(',');
    if (!builder.put_backend(domain, std::to_string(index), std::string(rest.substr(0, comma))))
      die("bad address in " + text);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  flynn::router::Settings settings;
  flynn::router::RouteTableBuilder builder;
  std::string listen_address = "127.0.0.1:0";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--listen" && i + 1 < argc)
      listen_address = argv[++i];
    else if (argument == "--threads" && i + 1 < argc)
      settings.threads = static_cast<unsigned>(std::atoi(argv[++i]));
    else
      add_route(builder, argument);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  flynn::router::DataPlane plane;
  if (const auto failure = plane.start(settings); !failure.empty()) die(failure);
  plane.set_table(builder.publish());
  const auto listener = listen_on(listen_address);
  if (const auto failure = plane.accept(listener.get()); !failure.empty()) die(failure);
  std::fflush(stdout);
  int signal = 0;
  ::sigwait(&signals, &signal);
  plane.stop_accepting();
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  plane.drain(static_cast<std::uint64_t>(now.tv_sec + 5) * 1'000'000'000);
  plane.stop();
  return 0;
}
