#include "http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>

namespace flynn::e2e {

namespace {

UniqueFd connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{20, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

// Case is folded by the caller.
std::string_view header(std::string_view head, std::string_view name) {
  const auto at = head.find(name);
  if (at == std::string_view::npos) return {};
  auto value = head.substr(at + name.size());
  return value.substr(0, value.find('\r'));
}

// Reads one answer. Empty: complete, status 200; `closing` when the server said it closes. Otherwise what is wrong.
std::string read_answer(int fd, bool& closing) {
  std::string text;
  std::array<char, 16384> chunk{};
  std::size_t head_end = std::string::npos, whole = 0;
  while (head_end == std::string::npos || text.size() < whole) {
    const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), 0);
    if (got == 0) return text.empty() ? "closed before an answer" : "closed within an answer";
    if (got < 0) return std::string("receive: ") + std::strerror(errno);
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (head_end != std::string::npos || (head_end = text.find("\r\n\r\n")) == std::string::npos) continue;
    for (std::size_t i = 0; i < head_end; ++i)
      text[i] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
    const std::string_view head(text.data(), head_end + 2);
    const auto length = header(head, "\r\ncontent-length: ");
    std::size_t body = 0;
    if (std::from_chars(length.data(), length.data() + length.size(), body).ec != std::errc{})
      return "an answer without a length: " + text;
    whole = head_end + 4 + body;
    closing = header(head, "\r\nconnection: ") == "close";
    if (head.substr(9, 3) != "200") return "status " + std::string(head.substr(9, 3));
  }
  return {};
}

}  // namespace

HttpLoad::HttpLoad(int port, std::string host, int connections)
    : port_(port), host_(std::move(host)), started_(std::chrono::steady_clock::now()) {
  for (int i = 0; i < connections; ++i) lanes_.push_back(std::make_unique<Lane>());
  for (auto& lane : lanes_) lane->thread = std::thread([this, &lane] { drive(*lane); });
}

void HttpLoad::drive(Lane& lane) const {
  const std::string request = "GET / HTTP/1.1\r\nHost: " + host_ + "\r\nUser-Agent: flynn-load\r\n\r\n";
  while (!ending_) {
    if (!lane.socket) {
      lane.socket = connect_to(port_);
      ++lane.counts.connections;
    }
    std::string wrong = "connect: refused";
    bool closing = false;
    if (lane.socket) {
      const auto sent = ::send(lane.socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
      wrong = sent == static_cast<ssize_t>(request.size()) ? read_answer(lane.socket.get(), closing)
                                                           : std::string("send: ") + std::strerror(errno);
    }
    if (wrong.empty()) {
      ++lane.counts.answered;
    } else {
      ++lane.counts.failed;
      if (lane.counts.first_failure.empty()) lane.counts.first_failure = wrong;
    }
    if (closing || !wrong.empty()) lane.socket.reset();
  }
}

LoadCounts HttpLoad::stop() {
  ending_ = true;
  LoadCounts total;
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
    total.answered += lane->counts.answered;
    total.failed += lane->counts.failed;
    total.connections += lane->counts.connections;
    if (total.first_failure.empty()) total.first_failure = lane->counts.first_failure;
  }
  total.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return total;
}

}  // namespace flynn::e2e
