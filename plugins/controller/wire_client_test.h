// A client that writes the very bytes of the original one, and sees the very bytes of the answer, for tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::controller {

/// One connection. Thread: the test's.
class WireConnection {
 public:
  explicit WireConnection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void send(const std::string& bytes) {
    EXPECT_TRUE(write_all(fd_.get(), bytes, Deadline::after(std::chrono::seconds(10))).ok());
  }
  /// Reads until `words` have come (all that has come by then), or until the end when it is empty.
  std::string read_until(const std::string& words) {
    const auto deadline = Deadline::after(std::chrono::seconds(10));
    while (words.empty() || seen_.find(words) == std::string::npos) {
      pollfd waiting{fd_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, deadline.left_ms()) <= 0) {
        ADD_FAILURE() << "nothing more within 10 s after: " << seen_;
        break;
      }
      char chunk[4096];
      const ssize_t size = ::recv(fd_.get(), chunk, sizeof chunk, 0);
      if (size <= 0) {
        EXPECT_TRUE(words.empty()) << "the connection ended after: " << seen_;
        break;
      }
      seen_.append(chunk, static_cast<std::size_t>(size));
    }
    return seen_;
  }

 private:
  UniqueFd fd_;
  std::string seen_;
};

struct WireAnswer {
  int status = 0;
  std::string head;  // in lower case
  std::string body;
};

inline WireAnswer wire_answer(const std::string& bytes) {
  WireAnswer out;
  const auto end = bytes.find("\r\n\r\n");
  if (bytes.size() < 12 || end == std::string::npos) {
    ADD_FAILURE() << "no HTTP answer: " << bytes;
    return out;
  }
  out.status = std::atoi(bytes.substr(9, 3).c_str());
  out.head = bytes.substr(0, end);
  std::transform(out.head.begin(), out.head.end(), out.head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  out.body = bytes.substr(end + 4);
  return out;
}

}  // namespace flynn::controller
