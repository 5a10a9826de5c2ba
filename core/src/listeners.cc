#include "listeners.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "flynn/sdk/stream.h"
#include "port_holder.h"

namespace flynn::core {
namespace {

constexpr int kBacklog = 4096;

Result<UniqueFd> bind_and_listen(const std::string& name, const std::string& address) {
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
  if (!fd || ::bind(fd.get(), info->ai_addr, info->ai_addrlen) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    const int why = errno;
    auto error = errno_error(why, "listener " + name + ": bind " + address);
    if (why == EADDRINUSE) {
      const auto holder = port_holder(port);
      error.message += holder.empty() ? "; another program has the port" : "; the port is held by " + holder;
      error.message += ": stop it, or give " + name + " another port in [listeners]";
    }
    return error;
  }
  return fd;
}

}  // namespace

Result<Listeners> Listeners::open(const std::map<std::string, std::string>& addresses) {
  Listeners made;
  for (const auto& [name, address] : addresses) {
    auto socket = bind_and_listen(name, address);
    if (!socket) return socket.error();
    made.sockets_.emplace(name, std::move(*socket));
  }
  return made;
}

Result<Listeners> Listeners::inherit(const std::string& text) {
  Listeners made;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto equals = text.find('=', at);
    int fd = -1;
    if (equals == std::string::npos || equals > end ||
        std::from_chars(text.data() + equals + 1, text.data() + end, fd).ec != std::errc{} ||
        ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return Error{Code::invalid_argument, std::string(kListenersVariable) + " is broken: " + text};
    made.sockets_.emplace(text.substr(at, equals - at), UniqueFd(fd));
    at = end + 1;
  }
  return made;
}

Result<UniqueFd> Listeners::lend(const std::string& name) const {
  const auto found = sockets_.find(name);
  if (found == sockets_.end())
    return Error{Code::not_found,
                 "there is no listening socket " + name + ": add it to [listeners] of the configuration"};
  return duplicate(found->second.get());
}

std::string Listeners::environment_text() const {
  std::string text;
  for (const auto& [name, fd] : sockets_) text += (text.empty() ? "" : ",") + name + "=" + std::to_string(fd.get());
  return text;
}

void Listeners::keep_over_exec() const {
  for (const auto& [name, fd] : sockets_) ::fcntl(fd.get(), F_SETFD, 0);
}

}  // namespace flynn::core
