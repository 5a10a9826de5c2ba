#include "http_exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "flynn/sdk/stream.h"

namespace flynn::authoring {
namespace {

constexpr std::size_t kMessageBytesMax = 4u << 20;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Error not_http(const std::string& what) { return {Code::invalid_argument, "no HTTP message: " + what}; }

// What comes from a socket, piece by piece.
class Incoming {
 public:
  Incoming(int fd, Deadline deadline) : fd_(fd), deadline_(deadline) {}

  // One more piece; false at the end.
  Result<bool> more() {
    pollfd entry{fd_, POLLIN, 0};
    if (::poll(&entry, 1, deadline_.left_ms()) <= 0)
      return Error{Code::deadline_exceeded, "the message did not come whole in time"};
    std::array<char, 16384> chunk{};
    const auto got = ::recv(fd_, chunk.data(), chunk.size(), 0);
    if (got < 0) return errno_error(errno, "read an HTTP message");
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kMessageBytesMax) return not_http("it is longer than 4 MiB");
    return got > 0;
  }
  Result<void> need(std::size_t size) {
    while (text.size() < size) {
      auto came = more();
      if (!came) return came.error();
      if (!*came) return Error{Code::cancelled, "the connection ended within an HTTP message"};
    }
    return {};
  }
  // Up to and without `mark`, which is dropped.
  Result<std::string> until(const std::string& mark) {
    auto at = text.find(mark);
    for (; at == std::string::npos; at = text.find(mark))
      if (auto longer = need(text.size() + 1); !longer) return longer.error();
    auto before = text.substr(0, at);
    text.erase(0, at + mark.size());
    return before;
  }

  std::string text;

 private:
  int fd_;
  Deadline deadline_;
};

Result<std::size_t> number_of(const std::string& text, int base) {
  std::size_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (read.ec != std::errc() || number > kMessageBytesMax) return not_http("\"" + text + "\" is no length");
  return number;
}

Result<std::string> chunks_of(Incoming& incoming) {
  std::string body;
  while (true) {
    auto line = incoming.until("\r\n");
    if (!line) return line.error();
    auto size = number_of(*line, 16);
    if (!size) return size.error();
    if (auto there = incoming.need(*size + 2); !there) return there.error();
    body += incoming.text.substr(0, *size);
    incoming.text.erase(0, *size + 2);
    if (*size == 0) return body;
  }
}

Result<std::string> body_of(Incoming& incoming, const HttpMessage& head, BodyEnd end) {
  if (end == BodyEnd::no_body) return std::string();
  const auto coding = head.headers.find("transfer-encoding"), length = head.headers.find("content-length");
  if (coding != head.headers.end()) return chunks_of(incoming);
  if (length != head.headers.end()) {
    auto size = number_of(length->second, 10);
    if (!size) return size.error();
    if (auto there = incoming.need(*size); !there) return there.error();
    return incoming.text.substr(0, *size);
  }
  if (end == BodyEnd::at_head) return std::string();
  while (true) {
    auto came = incoming.more();
    if (!came) return came.error();
    if (!*came) return incoming.text;
  }
}

Result<HttpMessage> head_of(const std::string& text) {
  HttpMessage message;
  std::size_t at = 0;
  while (at <= text.size()) {
    const auto end = std::min(text.find("\r\n", at), text.size());
    const auto line = text.substr(at, end - at);
    at = end + 2;
    if (message.first_line.empty()) {
      message.first_line = line;
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string::npos) return not_http("\"" + line + "\" is no header");
    const auto value = line.find_first_not_of(' ', colon + 1);
    message.headers[lower(line.substr(0, colon))] = value == std::string::npos ? "" : line.substr(value);
  }
  return message;
}

Result<UniqueFd> connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Error{Code::unavailable, errno_error(errno, "connect to port " + std::to_string(port)).message};
  return fd;
}

std::string text_of_request(const HttpRequestText& request) {
  std::string text = request.method_path + " HTTP/1.1\r\n";
  if (!request.headers.contains("Host")) text += "Host: 127.0.0.1\r\n";
  for (const auto& [name, value] : request.headers) text.append(name).append(": ").append(value).append("\r\n");
  if (!request.body.empty() || !request.method_path.starts_with("GET"))
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "Connection: close\r\n\r\n" + request.body;
}

}  // namespace

Result<HttpMessage> read_http(int fd, BodyEnd end, Deadline deadline) {
  Incoming incoming(fd, deadline);
  auto text = incoming.until("\r\n\r\n");
  if (!text) return text.error();
  auto message = head_of(*text);
  if (!message) return message.error();
  auto body = body_of(incoming, *message, end);
  if (!body) return body.error();
  message->body = std::move(*body);
  return message;
}

Result<json::object> http_answer(const HttpRequestText& request, Deadline deadline) {
  auto fd = connect_to(request.port);
  if (!fd) return fd.error();
  // A server may answer before it has read all of a body: what it said counts.
  (void)write_all(fd->get(), text_of_request(request), deadline);
  auto head =
      read_http(fd->get(), request.method_path.starts_with("HEAD") ? BodyEnd::no_body : BodyEnd::at_close, deadline);
  if (!head) return head.error().context(request.method_path);
  int status = 0;
  const auto& line = head->first_line;
  if (line.size() < 12 || !line.starts_with("HTTP/1.") ||
      std::from_chars(line.data() + 9, line.data() + 12, status).ec != std::errc())
    return not_http("\"" + line + "\" is no status line");
  json::object headers;
  for (const auto& [name, value] : head->headers) headers[name] = value;
  json::object answer{{"status", status}, {"headers", std::move(headers)}, {"text", head->body}};
  if (auto body = parse_json(head->body)) answer["json"] = std::move(*body);
  return answer;
}

std::string basic_credentials(const std::string& password) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string plain = ":" + password;
  std::string out = "Basic ";
  for (std::size_t i = 0; i < plain.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> unsigned {
      return at < plain.size() ? static_cast<unsigned char>(plain[at]) : 0u;
    };
    const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (unsigned digit = 0; digit < 4; ++digit)
      out += i + digit > plain.size() ? '=' : kDigits[group >> (18 - 6 * digit) & 63];
  }
  return out;
}

}  // namespace flynn::authoring
