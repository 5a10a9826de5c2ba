#include "http_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace flynn::load {

std::uint64_t checksum(std::string_view bytes, std::uint64_t sum) {
  for (const char byte : bytes) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return sum;
}

std::string header(std::string head, std::string_view name) {
  for (auto& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto at = head.find("\r\n" + std::string(name));
  if (at == std::string::npos) return {};
  const auto begin = at + 2 + name.size();
  return head.substr(begin, head.find('\r', begin) - begin);
}

HttpWire HttpWire::connect(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{20, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return HttpWire(std::move(fd));
}

bool HttpWire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool HttpWire::fill() {
  std::array<char, 65536> bytes;
  const auto got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  buffer_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

std::string HttpWire::read_head() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return std::exchange(buffer_, {});
  return read_exactly(end + 4);
}

std::string HttpWire::read_exactly(std::size_t size) {
  while (buffer_.size() < size)
    if (!fill()) break;
  auto bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

Answer HttpWire::read_answer() {
  Answer answer;
  const auto head = read_head();
  if (!head.ends_with("\r\n\r\n")) {
    answer.wrong = head.empty() ? std::string("closed before an answer: ") + std::strerror(errno) : "closed in a head";
    return answer;
  }
  answer.status = std::atoi(head.substr(9, 3).c_str());
  answer.closing = header(head, "connection: ") == "close";
  const auto length = header(head, "content-length: ");
  std::uint64_t left = 0;
  if (std::from_chars(length.data(), length.data() + length.size(), left).ec != std::errc{}) {
    answer.wrong = "an answer without a length: " + head;
    return answer;
  }
  answer.body_sum = checksum({});
  while (left > 0) {
    if (buffer_.empty() && !fill()) {
      answer.wrong = "closed within a body, " + std::to_string(left) + " bytes before its end";
      return answer;
    }
    const auto piece = read_exactly(std::min<std::uint64_t>(left, buffer_.size()));
    answer.body_sum = checksum(piece, answer.body_sum);
    answer.body_bytes += piece.size();
    left -= piece.size();
  }
  return answer;
}

bool HttpWire::readable_within(int ms) const {
  if (!buffer_.empty()) return true;
  pollfd one{fd_.get(), POLLIN, 0};
  return ::poll(&one, 1, ms) > 0;
}

}  // namespace flynn::load
