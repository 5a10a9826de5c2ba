#include "name_lookup.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "flynn/sdk/unique_fd.h"

namespace flynn::logs {
namespace {

constexpr const char* kProgram = "/usr/bin/getent";
constexpr std::size_t kOutputBytesMax = 64 * 1024;
constexpr std::size_t kAddressesMax = 16;

std::optional<SocketAddress> literal(const std::string& text, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return std::nullopt;
  SocketAddress address;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address.storage));
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

/// `getent ahosts NAME` with its output in a pipe. It is gone when its owner is.
class Getent {
 public:
  static Result<Getent> start(const std::string& name) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    Getent getent;
    getent.output_.reset(ends[0]);
    const UniqueFd input(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), 1);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::string program = kProgram, database = "ahosts", argument = name;
    std::array<char*, 4> arguments{program.data(), database.data(), argument.data(), nullptr};
    std::array<char*, 1> environment{nullptr};
    const int failure =
        ::posix_spawn(&getent.pid_, kProgram, &actions, &attributes, arguments.data(), environment.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (failure != 0) {
      getent.pid_ = -1;
      return errno_error(failure, std::string("start ") + kProgram);
    }
    return getent;
  }
  Getent(Getent&& other) noexcept : output_(std::move(other.output_)), pid_(std::exchange(other.pid_, -1)) {}
  Getent& operator=(Getent&&) = delete;
  ~Getent() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  Result<std::string> read_all(Deadline deadline, const StopSignal& stop) {
    std::string text;
    std::array<char, 4096> part;
    while (text.size() < kOutputBytesMax) {
      std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0}};
      const int ready = ::poll(entries.data(), entries.size(), deadline.left_ms());
      if (entries[0].revents != 0) return Error{Code::cancelled, "stopped"};
      if (ready == 0) return errno_error(ETIMEDOUT, "wait for the name service");
      const auto got = ::read(output_.get(), part.data(), part.size());
      if (got == 0) break;
      if (got < 0 && errno != EINTR) return errno_error(errno, "read from getent");
      if (got > 0) text.append(part.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  Getent() = default;
  UniqueFd output_;
  pid_t pid_ = -1;
};

}  // namespace

Result<std::vector<SocketAddress>> look_up(const std::string& host, std::uint16_t port, Deadline deadline,
                                           const StopSignal& stop) {
  if (const auto address = literal(host, port)) return std::vector<SocketAddress>{*address};
  const auto doing = "look up " + host;
  auto getent = Getent::start(host);
  if (!getent) return getent.error().context(doing);
  auto output = getent->read_all(deadline, stop);
  if (!output) return output.error().context(doing);
  std::vector<SocketAddress> addresses;
  std::set<std::string> seen;  // each address comes once for each kind of socket
  for (std::size_t begin = 0; begin < output->size() && addresses.size() < kAddressesMax;) {
    const auto end = std::min(output->find('\n', begin), output->size());
    const auto line = std::string_view(*output).substr(begin, end - begin);
    begin = end + 1;
    const std::string text(line.substr(0, line.find(' ')));
    if (!seen.insert(text).second) continue;
    if (const auto address = literal(text, port)) addresses.push_back(*address);
  }
  if (addresses.empty()) return Error{Code::not_found, doing + ": Name or service not known"};
  return addresses;
}

}  // namespace flynn::logs
