#include "wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "flynn/sdk/stream.h"

namespace flynn::e2e {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

std::string base64(const std::string& text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

UniqueFd connect_to(int port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

/// The client's user name is empty.
std::string head_of(const std::string& line, const std::string& key, const std::string& more) {
  return line + " HTTP/1.1\r\nHost: controller.flynn.localhost\r\nAuthorization: Basic " + base64(":" + key) + "\r\n" +
         more + "\r\n";
}

void send_all(const UniqueFd& fd, const std::string& bytes) {
  EXPECT_TRUE(write_all(fd.get(), bytes, Deadline::after(kPatience)).ok());
}

/// False at the end of the connection, or when nothing came in time.
bool read_more(const UniqueFd& fd, std::string& into) {
  pollfd waiting{fd.get(), POLLIN, 0};
  if (::poll(&waiting, 1, 60'000) <= 0) return false;
  char chunk[16384];
  const ssize_t size = ::recv(fd.get(), chunk, sizeof chunk, 0);
  if (size <= 0) return false;
  into.append(chunk, static_cast<std::size_t>(size));
  return true;
}

/// Takes the head off the front of `seen`, reading it first; the status.
int take_head(const UniqueFd& fd, std::string& seen, std::string& head) {
  std::size_t end;
  while ((end = seen.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more(fd, seen)) return 0;
  }
  head = seen.substr(0, end);
  seen.erase(0, end + 4);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return head.size() > 12 ? std::atoi(head.c_str() + 9) : 0;
}

std::string big_endian(std::uint32_t number) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
  return out;
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

}  // namespace

json::object Answer::object() const {
  auto parsed = parse_json_object(body);
  return parsed ? std::move(*parsed) : json::object{};
}

json::array Answer::list() const {
  auto parsed = parse_json(body);
  return parsed && parsed->is_array() ? parsed->get_array() : json::array{};
}

EventStream::EventStream(int port, const std::string& key, const std::string& target, const std::string& last_event_id)
    : socket_(connect_to(port)) {
  send_all(socket_,
           head_of("GET " + target, key, "Accept: text/event-stream\r\nLast-Event-Id: " + last_event_id + "\r\n"));
  std::string head;
  status_ = take_head(socket_, seen_, head);
}

bool EventStream::read(json::object& event) {
  while (true) {
    const auto end = seen_.find('\n', at_);
    if (end == std::string::npos) {
      if (read_more(socket_, seen_)) continue;
      ADD_FAILURE() << "the stream gave no more after: "
                    << seen_.substr(seen_.size() - std::min<std::size_t>(seen_.size(), 600));
      return false;
    }
    const std::string line = seen_.substr(at_, end - at_);
    at_ = end + 1;
    if (!line.starts_with("data: ")) continue;
    auto parsed = parse_json_object(line.substr(6));
    EXPECT_TRUE(parsed.ok()) << line;
    if (!parsed) return false;
    event = std::move(*parsed);
    return true;
  }
}

Attached::Attached(int port, const std::string& key, const std::string& app, const json::object& job)
    : socket_(connect_to(port)) {
  const std::string body = json::serialize(job);
  send_all(socket_, head_of("POST /apps/" + app + "/jobs", key,
                            "Connection: upgrade\r\nUpgrade: flynn-attach/0\r\nContent-Type: application/json\r\n"
                            "Content-Length: " +
                                std::to_string(body.size()) + "\r\n") +
                        body);
  std::string head;
  status_ = take_head(socket_, seen_, head);
  if (status_ != 101) return;
  EXPECT_NE(head.find("upgrade: flynn-attach/0"), std::string::npos) << head;
}

bool Attached::fill(std::size_t size) {
  while (seen_.size() < size) {
    if (!read_more(socket_, seen_)) return false;
  }
  return true;
}

bool Attached::read_frame() {
  if (!fill(1)) return false;
  switch (seen_[0]) {
    case 0:
    case 1:
      seen_.erase(0, 1);
      return true;
    case 2: {
      if (!fill(5) || !fill(5 + number_at(seen_, 1))) return false;
      error = seen_.substr(5, number_at(seen_, 1));
      return false;
    }
    case 3: {
      if (!fill(6) || !fill(6 + number_at(seen_, 2))) return false;
      const auto size = number_at(seen_, 2);
      (seen_[1] == 1 ? out : err) += seen_.substr(6, size);
      seen_.erase(0, 6 + size);
      return true;
    }
    case 5:
      if (!fill(5)) return false;
      exit_ = number_at(seen_, 1);
      return false;
    default:
      ADD_FAILURE() << "a frame of the unknown type " << static_cast<int>(seen_[0]);
      return false;
  }
}

void Attached::send_stdin(std::string_view text) {
  send_all(socket_,
           std::string("\x03\x00", 2) + big_endian(static_cast<std::uint32_t>(text.size())) + std::string(text));
}

void Attached::send_signal(std::uint32_t number) { send_all(socket_, "\x04" + big_endian(number)); }

bool Attached::read_until(std::string_view text) {
  while (out.find(text) == std::string::npos) {
    if (!read_frame()) return false;
  }
  return true;
}

std::int64_t Attached::wait() {
  while (read_frame()) {
  }
  return exit_;
}

std::string ConformanceTest::key() {
  std::ifstream file(node().data_dir() + "/plugins/controller/auth_key");
  std::string line;
  std::getline(file, line);
  return line;
}

Answer ConformanceTest::ask(const std::string& method, const std::string& target, const json::value& body) {
  const std::string text = body.is_null() ? std::string() : json::serialize(body);
  UniqueFd socket = connect_to(port());
  send_all(socket, head_of(method + " " + target, key(),
                           "Content-Type: application/json\r\nAccept: application/json\r\nConnection: close\r\n"
                           "Content-Length: " +
                               std::to_string(text.size()) + "\r\n") +
                       text);
  Answer answer;
  std::string bytes;
  answer.status = take_head(socket, bytes, answer.head);
  while (read_more(socket, bytes)) {
  }
  answer.body = bytes;
  return answer;
}

json::object ConformanceTest::object(const std::string& method, const std::string& target, const json::value& body) {
  const Answer answer = ask(method, target, body);
  EXPECT_EQ(answer.status, 200) << method << ' ' << target << ": " << answer.body;
  return answer.object();
}

json::array ConformanceTest::list(const std::string& target) {
  const Answer answer = ask("GET", target);
  EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
  return answer.list();
}

EventStream ConformanceTest::events(const std::string& query, const std::string& last_event_id) {
  EventStream stream(port(), key(), "/events?" + query, last_event_id);
  EXPECT_EQ(stream.status(), 200) << query;
  return stream;
}

std::string ConformanceTest::given_pushed_app() {
  given_app("node-hello", "shop");
  return "shop";
}

}  // namespace flynn::e2e
