#include "board_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace flynn::core {
namespace {

constexpr std::size_t kVersionSize = 5;
constexpr int kAnswerTimeoutMs = 10'000;

}  // namespace

BoardClient::BoardClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd_.reset();
}

void BoardClient::begin_request() { (void)::send(fd_.get(), "b", 1, MSG_NOSIGNAL); }

std::string BoardClient::ask(char byte) {
  if (!fd_ || ::send(fd_.get(), &byte, 1, MSG_NOSIGNAL) != 1) return "closed";
  std::string text;
  while (text.size() < kVersionSize) {
    pollfd entry{fd_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kAnswerTimeoutMs) <= 0) return "silent";
    std::array<char, kVersionSize> bytes{};
    const auto size = ::recv(fd_.get(), bytes.data(), kVersionSize - text.size(), 0);
    if (size <= 0) return "closed";
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return text;
}

int served_by(const std::string& version, std::vector<std::unique_ptr<BoardClient>>& clients) {
  int count = 0;
  for (auto& client : clients) count += client->who() == version ? 1 : 0;
  return count;
}

}  // namespace flynn::core
