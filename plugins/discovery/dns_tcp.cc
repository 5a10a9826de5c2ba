#include "dns_tcp.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "dns_zone.h"

namespace flynn::discovery {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kClientsMax = 64, kLengthBytes = 2, kBufferedMax = 256u << 10;
constexpr auto kSilenceMax = std::chrono::seconds(10);
constexpr int kTickMs = 1'000;

std::string framed(const std::string& message) {
  std::string out;
  put_u16(out, static_cast<unsigned>(message.size()));
  return out + message;
}

// False when the other side has gone.
bool read_some(int fd, std::string& buffer) {
  std::array<char, 16384> chunk{};
  const auto got = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got > 0) buffer.append(chunk.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool write_some(int fd, std::string& buffer) {
  const auto sent = ::send(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) buffer.erase(0, static_cast<std::size_t>(sent));
  return sent > 0 || errno == EAGAIN || errno == EINTR;
}

}  // namespace

void DnsTcp::prepare(std::vector<sockaddr_in> resolvers, Answer answer) {
  resolvers_ = std::move(resolvers);
  answer_ = std::move(answer);
  listening_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(listening_.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  ::setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  opened_.clear();
  worker_.start("dns-tcp", [this](const StopSignal& stop) { run(stop); });
}

Result<void> DnsTcp::open(const sockaddr_in& address) {
  if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening_.get(), SOMAXCONN) != 0)
    return errno_error(errno, "DNS over TCP");
  opened_.ask();
  return {};
}

void DnsTcp::stop() {
  worker_.stop();
  listening_.reset();
}

void DnsTcp::run(const StopSignal& stop) {
  // A socket that does not listen yet would look as if its peer had gone.
  std::array<pollfd, 2> first{pollfd{stop.fd(), POLLIN, 0}, pollfd{opened_.fd(), POLLIN, 0}};
  while (::poll(first.data(), first.size(), -1) < 0 && errno == EINTR) {
  }
  while (true) {
    std::vector<pollfd> entries{{stop.fd(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
    if (clients_.size() >= kClientsMax) entries[1].fd = -1;
    for (const auto& client : clients_) {
      const auto wants = [](const std::string& from, const std::string& to) {
        return static_cast<short>((from.size() < kBufferedMax ? POLLIN : 0) | (to.empty() ? 0 : POLLOUT));
      };
      entries.push_back({client.fd.get(), wants(client.in, client.out), 0});
      entries.push_back({client.upstream.get(), wants(client.out, client.to_upstream), 0});
    }
    ::poll(entries.data(), entries.size(), clients_.empty() ? -1 : kTickMs);
    if (entries[0].revents != 0) break;
    std::size_t at = 2;
    const auto now = Clock::now();
    for (auto& client : clients_) {
      pump(client, entries[at].revents, entries[at + 1].revents);
      at += 2;
      if (now - client.last > kSilenceMax) client.dead = true;
    }
    clients_.remove_if([](const Client& client) { return client.dead; });
    if (entries[1].revents != 0) accept_one();
  }
  clients_.clear();
}

void DnsTcp::accept_one() {
  UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return;
  Client client;
  client.fd = std::move(fd);
  client.last = Clock::now();
  clients_.push_back(std::move(client));
}

void DnsTcp::pump(Client& client, short client_events, short upstream_events) {
  if (client_events != 0 || upstream_events != 0) client.last = Clock::now();
  if ((client_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_some(client.fd.get(), client.in)) client.dead = true;
  serve(client);
  if ((upstream_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_some(client.upstream.get(), client.out))
    client.dead = client.out.empty();
  if (!client.to_upstream.empty() && (upstream_events & POLLOUT) != 0 &&
      !write_some(client.upstream.get(), client.to_upstream))
    client.dead = true;
  if (!client.out.empty() && !write_some(client.fd.get(), client.out)) client.dead = true;
}

void DnsTcp::serve(Client& client) {
  while (client.in.size() >= kLengthBytes && !client.dead) {
    const auto size = static_cast<std::size_t>(static_cast<unsigned char>(client.in[0])) << 8 |
                      static_cast<unsigned char>(client.in[1]);
    if (client.in.size() < kLengthBytes + size) return;
    auto message = client.in.substr(kLengthBytes, size);
    client.in.erase(0, kLengthBytes + size);
    const auto query = parse_dns_query(message);
    if (!query)
      client.dead = true;
    else if (in_our_domain(query->name))
      client.out += framed(answer_(message, *query));
    else
      relay(client, std::move(message));
  }
}

void DnsTcp::relay(Client& client, std::string message) {
  if (!client.upstream && !resolvers_.empty()) {
    client.upstream.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto& resolver = resolvers_.front();
    if (::connect(client.upstream.get(), reinterpret_cast<const sockaddr*>(&resolver), sizeof resolver) != 0 &&
        errno != EINPROGRESS)
      client.upstream.reset();
  }
  if (client.upstream)
    client.to_upstream += framed(message);
  else
    client.dead = true;
}

}  // namespace flynn::discovery
