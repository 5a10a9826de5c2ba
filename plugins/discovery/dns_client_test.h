// A client of DNS, for tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>
#include <string>

#include "dns_message.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::discovery {

// A query for `name`, as a client sends it.
inline std::string query_for(const std::string& name, std::uint16_t type = kTypeA, std::uint16_t id = 0x1234) {
  std::string out{static_cast<char>(id >> 8), static_cast<char>(id & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  std::size_t at = 0;
  while (at <= name.size()) {
    const auto dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at);
    out += name.substr(at, dot - at);
    at = dot + 1;
  }
  out += std::string{0, 0, static_cast<char>(type), 0, 1};
  return out;
}

// Sends to 127.0.0.1:port and gives the answer, empty when none comes.
inline std::string ask(int port, const std::string& message) {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::sendto(fd.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  std::array<char, 4096> bytes{};
  const auto got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
  return got <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(got));
}

inline int code_of(const std::string& answer) { return answer.size() < 4 ? -1 : answer[3] & 15; }
inline int answers_in(const std::string& answer) { return answer.size() < 8 ? -1 : answer[7]; }

}  // namespace flynn::discovery
