#include "test_admin_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "documents.h"

namespace flynn::cli::testing {

AdminSocket::AdminSocket(const std::string& path, std::map<std::string, std::string> answers)
    : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), answers_(std::move(answers)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), 8) != 0) {
    throw std::runtime_error("listen on " + path);
  }
  thread_ = std::thread([this] { serve(); });
}

AdminSocket::~AdminSocket() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

std::string AdminSocket::params(const std::string& method) {
  const std::lock_guard lock(mutex_);
  return params_[method];
}

void AdminSocket::serve() {
  for (;;) {
    const UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    std::string line;
    std::array<char, 4096> bytes;
    while (line.find('\n') == std::string::npos) {
      const ssize_t count = read(client.get(), bytes.data(), bytes.size());
      if (count <= 0) break;
      line.append(bytes.data(), static_cast<std::size_t>(count));
    }
    const auto request = parse_json("request", line);
    if (!request) continue;
    const std::string method = text_of(as_object(*request), "method");
    const std::lock_guard lock(mutex_);
    params_[method] = json::serialize(object_of(as_object(*request), "params"));
    const std::string& answer = answers_[method];
    if (send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
  }
}

}  // namespace flynn::cli::testing
