#include "listening_socket.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "port_holder.h"

namespace flynn::core {
namespace {

constexpr int kBacklog = 4096;

Error not_bound(int why, const std::string& name, const std::string& address, const std::string& remedy) {
  auto error = errno_error(why, "listener " + name + ": bind " + address);
  if (why != EADDRINUSE) return error;
  const auto holder = port_holder(address.substr(address.rfind(':') + 1));
  error.message += holder.empty() ? "; another program has the port" : "; the port is held by " + holder;
  error.message += ": stop it, or " + remedy;
  return error;
}

}  // namespace

Result<UniqueFd> bind_and_listen(const std::string& name, const std::string& address, const std::string& remedy) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int failure = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); failure != 0)
    return Error{Code::invalid_argument,
                 "listener " + name + ": \"" + address + "\" is no ADDRESS:PORT: " + ::gai_strerror(failure)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> info(found, ::freeaddrinfo);
  UniqueFd fd(::socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), info->ai_addr, info->ai_addrlen) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return not_bound(errno, name, address, remedy);
  return fd;
}

Result<void> listen_again(int socket, const std::string& name, const std::string& address, const std::string& remedy) {
  if (::listen(socket, kBacklog) != 0) return not_bound(errno, name, address, remedy);
  return {};
}

}  // namespace flynn::core
