// prisoner: tries what it is asked to try and says what came of it; for the tests of cages.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <new>

#include "flynn/sdk/plugin.h"
#include "flynn/sdk/stream.h"

namespace {

using flynn::json::object;

int open_file(const std::string& path, int flags) {
  const flynn::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  return fd ? 0 : errno;
}

int connect_to(std::int64_t port) {
  const flynn::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

int bind_to(std::int64_t port) {
  const flynn::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// One that is in no session or group of ours; its id comes back negative.
int leave_a_child() {
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child > 0) return -child;
  ::setsid();
  while (true) ::pause();
}

int run(const std::string& program) {
  const pid_t child = ::fork();
  if (child < 0) return errno;
  if (child == 0) {
    ::execl(program.c_str(), "true", nullptr);
    ::_exit(errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int take_memory(std::int64_t megabytes) {
  const auto size = static_cast<std::size_t>(megabytes) << 20;
  char* block = new (std::nothrow) char[size];
  if (block == nullptr) return ENOMEM;
  std::memset(block, 1, size);
  delete[] block;
  return 0;
}

int attempt(const object& asked) {
  const auto what = flynn::string_or(asked, "what"), path = flynn::string_or(asked, "path");
  const auto number = flynn::int_or(asked, "number");
  if (what == "read") return open_file(path, O_RDONLY);
  if (what == "write") return open_file(path, O_WRONLY | O_CREAT);
  if (what == "connect") return connect_to(number);
  if (what == "bind") return bind_to(number);
  if (what == "leave") return leave_a_child();
  if (what == "exec") return run(path.empty() ? "/bin/true" : path);
  if (what == "memory") return take_memory(number);
  if (what == "mount") return ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0 ? 0 : errno;
  if (what == "root") return ::setuid(0) == 0 ? 0 : errno;
  if (what == "ptrace") return ::ptrace(PTRACE_ATTACH, static_cast<pid_t>(number), 0, 0) == 0 ? 0 : errno;
  if (what == "kill") return ::kill(static_cast<pid_t>(number), SIGKILL) == 0 ? 0 : errno;
  return -1;
}

class Prisoner : public flynn::Plugin {
 public:
  explicit Prisoner(flynn::Host& host) : Plugin(host) {
    on("test.prisoner/1", "Try", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      const int failure = attempt(call.body);
      return flynn::Reply{{{"errno", failure}, {"error", failure > 0 ? ::strerror(failure) : ""}}};
    });
    on("test.prisoner/1", "Facts", [this](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      auto info = this->host().info();
      if (!info) return info.error();
      return flynn::Reply{{{"uid", ::getuid()},
                           {"pid", ::getpid()},
                           {"caller", std::string(call.caller)},
                           {"data_dir", info->data_dir},
                           {"environment", ::getenv("HOME") == nullptr ? "clean" : "leaks"}}};
    });
    on("test.prisoner/1", "Echo", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      flynn::Reply reply{call.body};
      reply.fds = std::move(call.fds);
      return reply;
    });
    on("test.prisoner/1", "Relay", [this](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      const auto* body = flynn::find_object(call.body, "body");
      return this->host().call(flynn::string_or(call.body, "interface"), flynn::string_or(call.body, "method"),
                               body == nullptr ? object{} : *body);
    });
    on("test.prisoner/1", "Die", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      ::raise(static_cast<int>(flynn::int_or(call.body, "signal", SIGABRT)));
      return flynn::Reply{};
    });
    on("test.prisoner/1", "Exit", [](flynn::Call&) -> flynn::Result<flynn::Reply> { std::_Exit(7); });
    on("test.prisoner/1", "Sleep", [](flynn::Call& call) -> flynn::Result<flynn::Reply> {
      if (const auto begun = flynn::string_or(call.body, "begun"); !begun.empty())
        (void)open_file(begun, O_WRONLY | O_CREAT);
      ::poll(nullptr, 0, static_cast<int>(flynn::int_or(call.body, "ms")));
      return flynn::Reply{};
    });
  }
};

}  // namespace

FLYNN_PLUGIN(Prisoner)
