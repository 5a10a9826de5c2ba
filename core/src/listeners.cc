#include "listeners.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

#include "flynn/sdk/stream.h"
#include "listening_socket.h"

namespace flynn::core {
namespace {

int option_of(int socket, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// -1 when it is no TCP socket.
int tcp_port_of(int socket) {
  const int domain = option_of(socket, SO_DOMAIN);
  if ((domain != AF_INET && domain != AF_INET6) || option_of(socket, SO_TYPE) != SOCK_STREAM) return -1;
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  return ntohs(domain == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                 : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

}  // namespace

Result<Listeners> Listeners::open(const ListenerAddresses& addresses) {
  Listeners made;
  if (auto read = made.read_ranges(addresses); !read) return read.error();
  for (const auto& [name, address] : addresses) {
    if (made.ranges_->find(name) != nullptr) continue;
    auto socket = bind_and_listen(name, address, "give " + name + " another port in [listeners]");
    if (!socket) return socket.error();
    made.sockets_.emplace(name, std::move(*socket));
  }
  return made;
}

Result<Listeners> Listeners::inherit(const std::string& text, const ListenerAddresses& addresses) {
  Listeners made;
  if (auto read = made.read_ranges(addresses); !read) return read.error();
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto equals = text.find('=', at);
    int fd = -1;
    if (equals == std::string::npos || equals > end ||
        std::from_chars(text.data() + equals + 1, text.data() + end, fd).ec != std::errc{} ||
        ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return Error{Code::invalid_argument, std::string(kListenersVariable) + " is broken: " + text};
    const auto name = text.substr(at, equals - at);
    if (const auto ranged = parse_ranged_name(name); ranged && !addresses.contains(name))
      made.ranges_->inherit(*ranged, UniqueFd(fd));
    else
      made.sockets_.emplace(name, UniqueFd(fd));
    at = end + 1;
  }
  return made;
}

Result<void> Listeners::read_ranges(const ListenerAddresses& addresses) {
  for (const auto& [name, address] : addresses) {
    if (!PortRange::is_meant_by(address)) continue;
    auto range = PortRange::parse(address);
    if (!range) return range.error().context("listener " + name);
    ranges_->add(name, std::move(*range));
  }
  return {};
}

Result<UniqueFd> Listeners::lend(const std::string& name) const {
  if (const auto found = sockets_.find(name); found != sockets_.end()) return duplicate(found->second.get());
  if (const auto* range = ranges_->find(name); range != nullptr)
    return Error{Code::invalid_argument, name + " is a range of ports, " + range->ports_text() + ": borrow one, as " +
                                             name + ":" + std::to_string(range->first)};
  const auto base = permitted_by(name);
  if (base != name && ranges_->find(base) != nullptr)
    return ranges_->lend(base, std::string_view(name).substr(base.size() + 1));
  if (base != name && sockets_.contains(base))
    return Error{Code::invalid_argument, base + " is one socket and no range of ports: borrow it by that name"};
  return Error{Code::not_found,
               "there is no listening socket " + name + ": add it to [listeners] of the configuration"};
}

std::string Listeners::permitted_by(const std::string& name) const {
  return sockets_.contains(name) ? name : name.substr(0, name.rfind(':'));
}

Result<void> Listeners::keep(const std::string& name, UniqueFd socket) {
  const auto ranged = parse_ranged_name(name);
  if (!ranged) return Error{Code::invalid_argument, "a listener is handed over by a name that is no NAME:PORT"};
  const auto doing = "keep the listener " + name;
  if (sockets_.contains(name)) return Error{Code::already_exists, doing + ": there is one of that name"};
  if (kept_ >= kRangePortsMax)
    return Error{Code::resource_exhausted, doing + ": " + std::to_string(kRangePortsMax) + " are kept, that is all"};
  if (tcp_port_of(socket.get()) != ranged->port)
    return Error{Code::invalid_argument, doing + ": what came is no TCP socket of that port"};
  sockets_.emplace(name, std::move(socket));
  ++kept_;
  return {};
}

unsigned long Listeners::descriptors_wanted() const {
  // Our own, and what the old and the new instance of a swap have, with some to spare.
  constexpr int kEach = 4;
  return static_cast<unsigned long>(kEach * ranges_->ports());
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
