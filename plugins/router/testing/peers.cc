#include "testing/peers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <ctime>

#include "http/chars.h"
#include "http/head.h"

namespace flynn::router::testing {
namespace {

constexpr int kWaitMs = 10'000;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

}  // namespace

UniqueFd listen_anywhere() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(0);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 1024), 0);
  return fd;
}

int port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

bool is_refused(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
}

std::uint64_t deadline_in(int ms) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec) +
         static_cast<std::uint64_t>(ms) * 1'000'000;
}

Peer::Peer(UniqueFd fd) : fd_(std::move(fd)) {
  const timeval wait{kWaitMs / 1000, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

Peer Peer::connect(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return Peer(std::move(fd));
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Peer::fill() {
  char bytes[65536];
  const auto got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(got));
  return true;
}

std::string Peer::read_head() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return std::exchange(buffer_, {});
  return read_exactly(end + 4);
}

std::string Peer::read_exactly(std::size_t size) {
  while (buffer_.size() < size)
    if (!fill()) break;
  auto bytes = buffer_.substr(0, size);
  buffer_.erase(0, bytes.size());
  return bytes;
}

std::string Peer::read_some() {
  if (buffer_.empty()) fill();
  return std::exchange(buffer_, {});
}

std::string Peer::read_to_end() {
  while (fill()) continue;
  return std::exchange(buffer_, {});
}

std::string Peer::read_chunks(bool& complete) {
  std::string all;
  complete = false;
  while (true) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
      if (!fill()) return all;
    const auto size = std::stoul(read_exactly(end + 2), nullptr, 16);
    const auto data = read_exactly(size + 2);
    if (data.size() != size + 2) return all + data;
    all += data.substr(0, size);
    if (size == 0) return complete = true, all;
  }
}

Answer Peer::read_answer(bool to_head) {
  Answer answer;
  answer.head = read_head();
  ResponseHead head;
  if (parse_response_head(answer.head, head).state != ParseState::kComplete) return answer;
  answer.status = head.status;
  const auto framing = response_framing(head, to_head ? Method::kHead : Method::kGet);
  answer.complete = true;
  if (framing.kind == BodyFraming::Kind::kLength) {
    answer.body = read_exactly(framing.length);
    answer.complete = answer.body.size() == framing.length;
  } else if (framing.kind == BodyFraming::Kind::kChunked) {
    answer.body = read_chunks(answer.complete);
  } else if (framing.kind == BodyFraming::Kind::kUntilClose) {
    answer.body = read_to_end();
  }
  return answer;
}

Answer Peer::ask(std::string_view request) {
  send(request);
  return read_answer();
}

void Peer::end_sending() { ::shutdown(fd_.get(), SHUT_WR); }

void Peer::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd_.reset();
}

bool Peer::ends_by_reset() {
  char bytes[65536];
  ssize_t got = 0;
  while ((got = ::recv(fd_.get(), bytes, sizeof bytes, 0)) > 0) continue;
  return got < 0 && errno == ECONNRESET;
}

bool Peer::at_end() {
  char byte = 0;
  if (!buffer_.empty()) return false;
  const auto received = ::recv(fd_.get(), &byte, 1, 0);
  return received == 0 || (received < 0 && errno != EAGAIN);  // an end leaves errno as it was
}

TestBackend::TestBackend(std::function<void(Peer&)> serve)
    : serve_(std::move(serve)),
      listener_(listen_anywhere()),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      port_(testing::port_of(listener_.get())) {
  acceptor_ = std::thread([this] { accept_all(); });
}

void TestBackend::accept_all() {
  while (true) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.push_back(fd.get());
    served_.emplace_back([this, raw = fd.release()] {
      Peer peer{UniqueFd(raw)};
      serve_(peer);
      const std::lock_guard done(mutex_);
      std::erase(open_, raw);
      peer.close();
    });
  }
}

TestBackend::~TestBackend() {
  ::eventfd_write(stop_.get(), 1);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : served_) thread.join();
}

void echo_bytes(Peer& peer) {
  for (std::string bytes; !(bytes = peer.read_some()).empty();)
    if (!peer.send(bytes)) return;
  peer.send("bye");
}

void echo_requests(Peer& peer) {
  while (true) {
    const auto bytes = peer.read_head();
    RequestHead head;
    if (parse_request_head(bytes, head).state != ParseState::kComplete) return;
    std::string body = bytes;
    bool complete = true;
    if (head.body.kind == BodyFraming::Kind::kLength) body += peer.read_exactly(head.body.length);
    if (head.body.kind == BodyFraming::Kind::kChunked) body += peer.read_chunks(complete);
    const auto answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                        (head.method == Method::kHead ? "" : body);
    if (!complete || !peer.send(answer)) return;
  }
}

TestRouter::TestRouter(const std::vector<std::string>& backends, Settings settings) : listener(listen_anywhere()) {
  if (settings.threads == 0) settings.threads = 2;
  EXPECT_EQ(plane.start(settings), "");
  builder.put_route({"r1", "app.test", "/", "app-web", "app-1", false});
  int index = 0;
  for (const auto& backend : backends) EXPECT_TRUE(builder.put_backend("app-web", std::to_string(index++), backend));
  publish();
  port = testing::port_of(listener.get());
  EXPECT_EQ(plane.accept(listener.get()), "");
}

TestRouter::~TestRouter() { plane.stop(); }

}  // namespace flynn::router::testing
