#include "http_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

#include "flynn/sdk/stream.h"

namespace flynn::wires {
namespace {

UniqueFd connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fd.reset();
  return fd;
}

bool read_more(int fd, std::string& buffer) {
  std::array<char, 16384> chunk{};
  const auto got = ::recv(fd, chunk.data(), chunk.size(), 0);
  if (got <= 0) return false;
  buffer.append(chunk.data(), static_cast<std::size_t>(got));
  return true;
}

std::string request_text(const std::string& method, const std::string& path, const std::string& accept,
                         const std::string& body) {
  return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

int status_of(const std::string& head) { return head.size() < 12 ? -1 : std::atoi(head.c_str() + 9); }

}  // namespace

json::value Answer::document() const {
  auto parsed = parse_json(body);
  return parsed ? *parsed : json::value();
}

Answer ask(int port, const std::string& method, const std::string& path, const json::value& body,
           const std::string& accept) {
  Answer answer;
  const auto fd = connect_to(port);
  const auto text = request_text(method, path, accept, body.is_null() ? "" : json::serialize(body));
  if (!fd || !write_all(fd.get(), text, Deadline::after(std::chrono::seconds(10)))) return answer;
  std::string all;
  while (read_more(fd.get(), all)) {
  }
  const auto end = all.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  answer.status = status_of(answer.head);
  return answer;
}

EventStream::EventStream(int port, const std::string& path) : fd_(connect_to(port)) {
  if (!fd_) return;
  (void)write_all(fd_.get(), request_text("GET", path, "text/event-stream", ""),
                  Deadline::after(std::chrono::seconds(10)));
  std::string line = read_line();
  status_ = status_of(line);
  while (!line.empty() && line != "\r") line = read_line();
}

std::string EventStream::read_line() {
  while (buffer_.find('\n') == std::string::npos)
    if (!read_more(fd_.get(), buffer_)) return {};
  const auto end = buffer_.find('\n');
  auto line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

json::object EventStream::next() {
  while (true) {
    const auto line = read_line();
    if (line.empty() && buffer_.find('\n') == std::string::npos && !read_more(fd_.get(), buffer_)) return {};
    if (!line.starts_with("data: ")) continue;
    auto event = parse_json_object(line.substr(6));
    return event ? *event : json::object{};
  }
}

}  // namespace flynn::wires
