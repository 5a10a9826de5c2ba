#include "dns_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <sstream>

namespace flynn::discovery {
namespace {

constexpr std::size_t kMessageBytesMax = 4096, kWaitingMax = 1024;
constexpr int kLastQuestionsMax = 256;
constexpr int kTickMs = 250;

sockaddr_in socket_address(const Ipv4& address, int port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(static_cast<std::uint16_t>(port));
  std::memcpy(&made.sin_addr, address.data(), address.size());
  return made;
}

// Ids that upstreams see must not be guessable, or a stranger could answer first.
std::uint16_t random_id() {
  std::uint16_t id = 0;
  while (::getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) {
  }
  return id;
}

void set_id(std::string& message, std::uint16_t id) {
  message[0] = static_cast<char>(id >> 8);
  message[1] = static_cast<char>(id & 0xff);
}

void send_to(int fd, std::string_view message, const sockaddr_in& to) {
  // UDP: what does not leave now is asked again by the client.
  [[maybe_unused]] const auto sent =
      ::sendto(fd, message.data(), message.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

std::string server_failure(std::string_view message, const DnsQuery& query) {
  DnsReply reply;
  reply.code = DnsCode::server_failure;
  return dns_reply(message, query, reply, query.udp_bytes_max);
}

}  // namespace

std::vector<std::string> resolvers_of(const std::string& resolv_conf_text) {
  std::vector<std::string> found;
  std::istringstream lines(resolv_conf_text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, value;
    words >> key >> value;
    if (key == "nameserver" && parse_ipv4(value).ok()) found.push_back(value);
  }
  return found;
}

DnsServer::DnsServer(DnsServerOptions options, ServiceLookup lookup)
    : options_(std::move(options)), lookup_(std::move(lookup)) {}

void DnsServer::stop() {
  tcp_.stop();
  worker_.stop();
  for (int left = kLastQuestionsMax; left > 0 && take_question(); --left) {
  }
  waiting_.clear();
  // Here, by who bound it, and not at the thread's end: nothing but the stop signal would order the two.
  socket_.reset();
  upstream_.reset();
  open_ = false;
}

Result<void> DnsServer::start() {
  if (auto prepared = prepare(); !prepared) return prepared;
  return open();
}

Result<void> DnsServer::prepare() {
  if (auto address = parse_ipv4(options_.address); !address) return address.error().context("DNS");
  resolvers_.clear();
  for (const auto& resolver : options_.resolvers)
    if (auto upstream = parse_ipv4(resolver)) resolvers_.push_back(socket_address(*upstream, 53));
  socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  upstream_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  // The bridge may not exist yet, and the version of this plugin that is being replaced may still hold the port.
  ::setsockopt(socket_.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // A socket without an address is never readable.
  worker_.start("dns", [this](const StopSignal& stop) { run(stop); });
  tcp_.prepare(resolvers_, [this](std::string_view message, const DnsQuery& query) {
    return zone_answer(message, query, lookup_, kTcpBytesMax, turn_++);
  });
  return {};
}

Result<void> DnsServer::open() {
  if (open_) return {};
  const auto address = parse_ipv4(options_.address);
  if (!address) return address.error().context("DNS");
  auto bound = socket_address(*address, options_.port);
  socklen_t size = sizeof bound;
  if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&bound), size) != 0)
    return errno_error(errno, "DNS: bind " + options_.address + ":" + std::to_string(options_.port));
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.sin_port);
  // Who gets no TCP still has UDP.
  (void)tcp_.open(bound);
  open_ = true;
  return {};
}

void DnsServer::run(const StopSignal& stop) {
  while (true) {
    std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{socket_.get(), POLLIN, 0},
                                  pollfd{upstream_.get(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), waiting_.empty() ? -1 : kTickMs);
    if (entries[0].revents != 0) break;
    if (entries[1].revents != 0) (void)take_question();
    if (entries[2].revents != 0) answer_from_upstream();
    retry_late_ones(std::chrono::steady_clock::now());
  }
}

// False when none is there.
bool DnsServer::take_question() {
  std::array<char, kMessageBytesMax> bytes{};
  sockaddr_in client{};
  socklen_t size = sizeof client;
  const auto got =
      ::recvfrom(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&client), &size);
  if (got < 0) return false;
  const std::string message(bytes.data(), static_cast<std::size_t>(got));
  const auto query = parse_dns_query(message);
  if (!query) return true;  // an answer to nonsense would make us a reflector
  if (in_our_domain(query->name)) {
    send_to(socket_.get(), zone_answer(message, *query, lookup_, query->udp_bytes_max, turn_++), client);
    return true;
  }
  if (resolvers_.empty() || waiting_.size() >= kWaitingMax) {
    send_to(socket_.get(), server_failure(message, *query), client);
    return true;
  }
  std::uint16_t id = random_id();
  while (waiting_.contains(id)) id = random_id();
  auto& waiting = waiting_[id];
  waiting.client_id = query->id;
  waiting.client = client;
  waiting.message = message;
  ask_upstream(id, waiting);
  return true;
}

void DnsServer::ask_upstream(std::uint16_t id, Waiting& waiting) {
  set_id(waiting.message, id);
  waiting.ask_next = std::chrono::steady_clock::now() + options_.upstream_timeout;
  send_to(upstream_.get(), waiting.message, resolvers_[waiting.resolver]);
}

void DnsServer::answer_from_upstream() {
  std::array<char, kMessageBytesMax> bytes{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const auto got =
      ::recvfrom(upstream_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 12) return;
  std::string message(bytes.data(), static_cast<std::size_t>(got));
  const auto id = static_cast<std::uint16_t>((static_cast<unsigned char>(message[0]) << 8) |
                                             static_cast<unsigned char>(message[1]));
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const auto& asked = resolvers_[found->second.resolver];
  if (asked.sin_addr.s_addr != from.sin_addr.s_addr || asked.sin_port != from.sin_port) return;
  set_id(message, found->second.client_id);
  send_to(socket_.get(), message, found->second.client);
  waiting_.erase(found);
}

void DnsServer::retry_late_ones(std::chrono::steady_clock::time_point now) {
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    auto& [id, waiting] = *entry;
    if (waiting.ask_next > now) {
      ++entry;
    } else if (++waiting.resolver < resolvers_.size()) {
      ask_upstream(id, waiting);
      ++entry;
    } else {
      set_id(waiting.message, waiting.client_id);
      if (auto query = parse_dns_query(waiting.message))
        send_to(socket_.get(), server_failure(waiting.message, *query), waiting.client);
      entry = waiting_.erase(entry);
    }
  }
}

}  // namespace flynn::discovery
