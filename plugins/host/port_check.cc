#include "port_check.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "flynn/sdk/unique_fd.h"

namespace flynn::host {
namespace {

Result<void> try_bind(int fd, const sockaddr* address, socklen_t size, bool listens) {
  if (::bind(fd, address, size) == 0 && (!listens || ::listen(fd, 1) == 0)) return {};
  if (errno == EADDRINUSE) return Error{Code::conflict, "somebody has the port"};
  return errno_error(errno, "bind the port");
}

}  // namespace

Result<void> check_port_is_free(std::uint16_t port, const std::string& proto) {
  const bool tcp = proto == "tcp";
  const int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
  const int yes = 1, no = 0;
  // Both families at once; a machine without IPv6 has only the other.
  if (UniqueFd wide(::socket(AF_INET6, type, 0)); wide) {
    ::setsockopt(wide.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    // What waits in TIME_WAIT has no owner any more.
    if (tcp) ::setsockopt(wide.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    auto bound = try_bind(wide.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, tcp);
    if (bound || bound.error().code == Code::conflict) return bound;
  }
  UniqueFd narrow(::socket(AF_INET, type, 0));
  if (!narrow) return errno_error(errno, "make a socket");
  if (tcp) ::setsockopt(narrow.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return try_bind(narrow.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, tcp);
}

}  // namespace flynn::host
