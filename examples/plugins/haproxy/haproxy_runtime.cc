#include "haproxy_runtime.h"

#include <flynn/sdk/unique_fd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace haproxy_router {

flynn::Result<std::string> ask(const std::string& socket, const std::string& command) {
  const flynn::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path)
    return flynn::Error{flynn::Code::invalid_argument, socket + " is longer than a socket's path may be"};
  std::memcpy(address.sun_path, socket.data(), socket.size());
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return flynn::Error{flynn::Code::unavailable, "HAProxy does not answer at " + socket + ": " + std::strerror(errno)};
  const auto line = command + "\n";
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return flynn::errno_error(errno, "ask HAProxy");
  std::string answer;
  std::array<char, 4096> chunk{};
  for (ssize_t got = 0; (got = ::recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0;)
    answer.append(chunk.data(), static_cast<std::size_t>(got));
  return answer;
}

std::vector<std::string> changes(const std::map<std::string, std::string>& map_before,
                                 const std::map<std::string, std::string>& map_after,
                                 const std::map<std::string, std::string>& servers_before,
                                 const std::map<std::string, std::string>& servers_after, const std::string& map_file) {
  std::vector<std::string> commands;
  // First servers that come, then routes, then servers that go: no request meets an empty backend on the way.
  for (const auto& [place, addr] : servers_after) {
    const auto before = servers_before.find(place);
    if (before != servers_before.end() && before->second == addr) continue;
    const auto colon = addr.rfind(':');
    commands.push_back("set server " + place + " addr " + addr.substr(0, colon) + " port " + addr.substr(colon + 1));
    commands.push_back("set server " + place + " state ready");
  }
  for (const auto& [key, backend] : map_after) {
    const auto before = map_before.find(key);
    if (before == map_before.end())
      commands.push_back("add map " + map_file + " " + key + " " + backend);
    else if (before->second != backend)
      commands.push_back("set map " + map_file + " " + key + " " + backend);
  }
  for (const auto& [key, backend] : map_before)
    if (!map_after.contains(key)) commands.push_back("del map " + map_file + " " + key);
  for (const auto& [place, addr] : servers_before)
    if (!servers_after.contains(place)) commands.push_back("set server " + place + " state maint");
  return commands;
}

}  // namespace haproxy_router
