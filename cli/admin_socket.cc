#include "admin_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "documents.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::cli {
namespace {

std::string next_step(int error) {
  if (error == EACCES || error == EPERM) return "The socket belongs to the operator of this machine: run it as root.";
  return "flynn-host may not be running on this machine: start it with scripts/up, or set FLYNN_ADMIN_SOCKET.";
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("admin socket " + path + ": the path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    const bool denied = error == EACCES || error == EPERM;
    return Error{"connect to the admin socket " + path + ": " + std::strerror(error), next_step(error),
                 denied ? Failure::kOther : Failure::kRefused}
        .as(denied ? ErrorCode::kPermissionDenied : ErrorCode::kHostUnreachable);
  }
  return fd;
}

Status send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return failure(std::string("send to the admin socket: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Done{};
}

Result<std::string> next_line(int fd, std::string& buffer) {
  for (;;) {
    if (const auto end = buffer.find('\n'); end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    std::array<char, 16384> bytes;
    const ssize_t count = read(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure(std::string("read from the admin socket: ") + std::strerror(errno));
    if (count == 0) {
      Error gone = failure("flynn-host closed the admin socket without an answer",
                           "It may have crashed or be restarting; what it says is in its log.");
      gone.kind = Failure::kRefused;
      return gone.as(ErrorCode::kHostUnreachable);
    }
    buffer.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

ErrorCode code_of(std::string_view code) {
  if (code == "not_found") return ErrorCode::kNotFound;
  if (code == "conflict") return ErrorCode::kConflict;
  return ErrorCode::kPluginRefused;
}

}  // namespace

std::string admin_socket_path() {
  const char* named = std::getenv("FLYNN_ADMIN_SOCKET");
  return named != nullptr && *named != '\0' ? named : "/run/flynn/admin.sock";
}

Result<json::value> admin_request(const std::string& path, const std::string& method, const json::object& params,
                                  const Progress& progress) {
  auto fd = connect_to(path);
  if (!fd) return fd.error();
  const json::object request{{"method", method}, {"params", params}};
  if (auto sent = send_all(fd->get(), json::serialize(request) + "\n"); !sent) return sent.error();
  std::string buffer;
  for (;;) {
    const auto line = next_line(fd->get(), buffer);
    if (!line) return line.error();
    auto document = parse_json("admin socket", *line);
    if (!document) return document.error();
    const json::object& answer = as_object(*document);
    if (const json::value* result = answer.if_contains("result")) return *result;
    if (answer.contains("error")) {
      const json::object& error = object_of(answer, "error");
      const std::string code = text_of(error, "code");
      return failure(method + ": " + code + ": " + text_of(error, "message")).as(code_of(code));
    }
    if (progress) progress(object_of(answer, "progress"));
  }
}

}  // namespace flynn::cli
