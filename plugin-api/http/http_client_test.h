/// A server on a free port of the loopback, and a client that may be as rude as it likes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "listener.h"
#include "stream_pump.h"

namespace flynn::http {

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{20, 0};  // only a broken server lets it run out
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }

  /// False when the server does not take all of it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void send_no_more() { ::shutdown(socket_.get(), SHUT_WR); }

  /// What comes until the server ends its side; "(cut off) …" when it does not within the patience, or resets.
  std::string read_all() {
    std::string got;
    std::array<char, 4096> chunk;
    ssize_t n = 0;
    while ((n = ::recv(socket_.get(), chunk.data(), chunk.size(), 0)) > 0) {
      got.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return (n < 0 ? "(cut off) " : "") + got;
  }
  /// What comes until `end` has come; all that came when it does not.
  std::string read_until(std::string_view end) {
    std::string got;
    char byte = 0;
    while (!got.ends_with(end) && ::recv(socket_.get(), &byte, 1, 0) == 1) got += byte;
    return got;
  }
  /// Sends `piece` each time the server has said nothing for `pause`; true once it did, or ended.
  bool drip(std::string_view piece, int times, int pause_ms) {
    for (int i = 0; i < times; ++i) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, pause_ms) != 0) return true;
      if (!send(piece)) return true;
    }
    return false;
  }

 private:
  UniqueFd socket_;
};

class HttpServer : public ::testing::Test {
 protected:
  /// One worker, if the test did not say otherwise in options_: whoever holds it is noticed.
  void given_server() {
    UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(::listen(listening.get(), 64), 0);
    socklen_t size = sizeof at;
    ASSERT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    listener_ = std::make_unique<HttpListener>(options_, handle_, pump_);
    ASSERT_EQ(listener_->start(std::move(listening)), "");
  }
  Client client() const { return Client(port_); }

  static ListenerOptions one_worker() {
    ListenerOptions options;
    options.workers = 1;
    return options;
  }

  ListenerOptions options_ = one_worker();
  std::atomic<int> handled_{0};
  HttpListener::Handle handle_ = [this](HttpRequest& request) {
    ++handled_;
    return HttpResponse{200, "text/plain", "<" + request.body + ">", {}, nullptr};
  };
  StreamPump pump_{"test"};  // not running unless the test starts it
  std::unique_ptr<HttpListener> listener_;
  std::uint16_t port_ = 0;
};

}  // namespace flynn::http
