#include "port_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>

namespace flynn::core {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool is_free(int port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

int free_ports(int count) {
  constexpr int kFirst = 20'000, kLast = 32'000;
  // Tests that run at once are processes with pids near each other.
  int first = kFirst + ::getpid() * 16 % (kLast - kFirst - 1024);
  for (int found = 0; found < count;) {
    if (is_free(first + found)) {
      ++found;
    } else {
      first += found + 1;
      found = 0;
    }
  }
  return first;
}

std::string loopback_range(int first, int count) {
  return "127.0.0.1:" + std::to_string(first) + "-" + std::to_string(first + count - 1);
}

UniqueFd connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

pid_t greeting_on(const UniqueFd& connection) {
  pollfd entry{connection.get(), POLLIN, 0};
  if (::poll(&entry, 1, 10'000) <= 0) return 0;
  std::string words(32, '\0');
  return ::recv(connection.get(), words.data(), words.size(), 0) > 0 ? std::atoi(words.c_str()) : 0;
}

pid_t greeted_by(int port) {
  const auto connection = connect_to(port);
  return connection ? greeting_on(connection) : -1;
}

}  // namespace flynn::core
