#include "admin_call.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

#include "flynn/sdk/stream.h"

namespace flynn::authoring {
namespace {

// Longer than any swap's deadlines.
constexpr auto kAnswerTime = std::chrono::seconds(60), kSendTime = std::chrono::seconds(5);

std::string socket_path() {
  const char* given = std::getenv("FLYNN_ADMIN_SOCKET");
  return given == nullptr || *given == '\0' ? "/run/flynn/admin.sock" : given;
}

Result<UniqueFd> connect_to_node() {
  const auto path = socket_path();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Code::invalid_argument, "FLYNN_ADMIN_SOCKET=" + path + " is longer than a socket's path may be"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "make a socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == EACCES || errno == EPERM)
    return Error{Code::permission_denied,
                 path + " belongs to the operator of this machine: run it as root, or set FLYNN_ADMIN_SOCKET"};
  return Error{Code::unavailable,
               errno_error(errno, "no node answers at " + path + " (scripts/up, or set FLYNN_ADMIN_SOCKET)").message};
}

}  // namespace

Result<json::object> ask_node(const std::string& method, const json::object& params, int stop_fd) {
  auto fd = connect_to_node();
  if (!fd) return fd.error();
  const Error gone{Code::internal,
                   "the node went away before it answered: did what was asked bring it down? (see its log)"};
  const auto request = json::serialize(json::object{{"method", method}, {"params", params}}) + "\n";
  if (auto sent = write_all(fd->get(), request, Deadline::after(kSendTime)); !sent)
    return sent.error().code == Code::cancelled ? gone : sent.error();
  LineReader lines(std::move(*fd));
  while (true) {
    auto status = lines.next(Deadline::after(kAnswerTime), stop_fd);
    if (!status || *status == LineReader::Status::end) return gone;
    if (*status == LineReader::Status::stopped) return Error{Code::cancelled, "ended before the node answered"};
    if (*status == LineReader::Status::timeout)
      return Error{Code::deadline_exceeded, "the node did not answer " + method + " within " +
                                                std::to_string(kAnswerTime.count()) + " s: see its log"};
    auto line = parse_json_object(lines.text());
    if (!line) return line.error();
    if (const auto* result = find_object(*line, "result")) return *result;
    if (const auto* error = find_object(*line, "error"))
      return Error{code_from_name(string_or(*error, "code")), string_or(*error, "message")};
  }
}

}  // namespace flynn::authoring
