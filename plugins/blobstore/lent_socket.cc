#include "lent_socket.h"

#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace flynn::blobstore {
namespace {

class LentServerSocketImpl : public Poco::Net::ServerSocketImpl {
 public:
  LentServerSocketImpl(UniqueFd listener, std::shared_ptr<StopSignal> wake) : wake_(std::move(wake)) {
    reset(listener.release());
  }

  bool poll(const Poco::Timespan& timeout, int) override {
    std::array<pollfd, 2> entries{pollfd{sockfd(), POLLIN, 0}, pollfd{wake_->fd(), POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), static_cast<int>(timeout.totalMilliseconds()));
    return ready > 0 && entries[1].revents == 0 && entries[0].revents != 0;
  }

  Poco::Net::SocketImpl* acceptConnection(Poco::Net::SocketAddress& client) override {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd = ::accept4(sockfd(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC);
    if (fd < 0) throw Poco::Net::NetException("accept", errno);  // TCPServer goes on after it
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
      client = Poco::Net::SocketAddress(reinterpret_cast<sockaddr*>(&address), size);
    return new Poco::Net::StreamSocketImpl(fd);
  }

 private:
  // Shared with the server that stops us: Poco destroys socket objects late.
  std::shared_ptr<StopSignal> wake_;
};

}  // namespace

LentServerSocket::LentServerSocket(UniqueFd listener, std::shared_ptr<StopSignal> wake)
    : ServerSocket(new LentServerSocketImpl(std::move(listener), std::move(wake)), true) {}

bool is_loopback(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  if (address.ss_family == AF_UNIX) return true;
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

}  // namespace flynn::blobstore
