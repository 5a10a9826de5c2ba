#include "name_lookup.h"

#include <ares.h>
#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

namespace flynn::logs {
namespace {

constexpr std::size_t kAddressesMax = 16;

std::optional<SocketAddress> literal(const std::string& text, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return std::nullopt;
  SocketAddress address;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address.storage));
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

/// What the resolver's callback leaves; it runs inside ares_process_fd or ares_destroy, never later.
struct Answer {
  bool done = false;
  int status = ARES_SUCCESS;
  std::vector<SocketAddress> addresses;

  static void take(void* self, int status, int, ares_addrinfo* found) {
    auto& answer = *static_cast<Answer*>(self);
    answer.done = true;
    answer.status = status;
    if (found == nullptr) return;
    for (auto* node = found->nodes; node != nullptr && answer.addresses.size() < kAddressesMax; node = node->ai_next) {
      SocketAddress address;
      std::copy_n(reinterpret_cast<const char*>(node->ai_addr), node->ai_addrlen,
                  reinterpret_cast<char*>(&address.storage));
      address.size = node->ai_addrlen;
      answer.addresses.push_back(address);
    }
    ares_freeaddrinfo(found);
  }
};

struct DestroyChannel {
  void operator()(ares_channel channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<std::remove_pointer_t<ares_channel>, DestroyChannel>;

/// Waits until a socket of the resolver is ready, a retry is due, or we are to end.
Result<void> step(ares_channel channel, Deadline deadline, const StopSignal& stop) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const int bits = ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM);
  std::vector<pollfd> entries{{stop.fd(), POLLIN, 0}};
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const auto index = static_cast<int>(i);
    const bool reads = ARES_GETSOCK_READABLE(bits, index) != 0, writes = ARES_GETSOCK_WRITABLE(bits, index) != 0;
    if (reads || writes)
      entries.push_back({sockets[i], static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0});
  }
  timeval limit{1, 0}, chosen{};
  const timeval* retry = ares_timeout(channel, &limit, &chosen);
  const int wait_ms = static_cast<int>(retry->tv_sec * 1000 + retry->tv_usec / 1000) + 1;
  const int left_ms = deadline.left_ms();
  if (left_ms == 0) return errno_error(ETIMEDOUT, "wait for the name service");
  ::poll(entries.data(), entries.size(), left_ms < 0 ? wait_ms : std::min(wait_ms, left_ms));
  if (entries[0].revents != 0) return Error{Code::cancelled, "stopped"};
  bool any = false;
  for (std::size_t i = 1; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    if (entry.revents == 0) continue;
    any = true;
    ares_process_fd(channel, (entry.revents & (POLLIN | POLLERR | POLLHUP)) != 0 ? entry.fd : ARES_SOCKET_BAD,
                    (entry.revents & (POLLOUT | POLLERR | POLLHUP)) != 0 ? entry.fd : ARES_SOCKET_BAD);
  }
  if (!any) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what is due by its time
  return {};
}

}  // namespace

Result<std::vector<SocketAddress>> look_up(const std::string& host, std::uint16_t port, Deadline deadline,
                                           const StopSignal& stop) {
  if (const auto address = literal(host, port)) return std::vector<SocketAddress>{*address};
  const auto doing = "look up " + host;
  Answer answer;  // outlives the channel, whose end may still call back
  ares_channel raw = nullptr;
  if (const int failed = ares_init(&raw); failed != ARES_SUCCESS)
    return Error{Code::internal, doing + ": " + ares_strerror(failed)};
  const Channel channel(raw);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  ares_getaddrinfo(raw, host.c_str(), std::to_string(port).c_str(), &hints, &Answer::take, &answer);
  while (!answer.done) {
    if (auto stepped = step(raw, deadline, stop); !stepped) return stepped.error().context(doing);
  }
  if (answer.status == ARES_SUCCESS && !answer.addresses.empty()) return std::move(answer.addresses);
  const bool unknown = answer.status == ARES_ENOTFOUND || answer.status == ARES_ENODATA;
  return Error{unknown ? Code::not_found : Code::unavailable,
               doing + ": " + (answer.status == ARES_SUCCESS ? "no address" : ares_strerror(answer.status))};
}

}  // namespace flynn::logs
