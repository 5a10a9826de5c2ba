#include "exec_session.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "child_process.h"
#include "files.h"
#include "flynn/sdk/stream.h"

namespace flynn::host {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kInputBytesMax = 1u << 20;  // what waits for a process that does not read
constexpr auto kSendTimeout = std::chrono::seconds(60);
constexpr auto kKillAfter = std::chrono::seconds(5);
constexpr auto kReapTimeout = std::chrono::seconds(10);

void block_sigpipe() {
  // A process that closes its stdin is no reason to die; pending and blocked, the signal ends with this thread.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void unblock(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

ExecSession::ExecSession(Machine& machine, ExecRequest request, UniqueFd client, std::string pid_file)
    : machine_(machine), request_(std::move(request)), client_(std::move(client)), pid_file_(std::move(pid_file)) {}

void ExecSession::start() {
  worker_.start("host-exec", [this](const StopSignal& stop) {
    block_sigpipe();
    run(stop);
    client_.reset();
    ::unlink(pid_file_.c_str());
    done_ = true;
  });
}

Result<void> ExecSession::send(const std::string& frame) {
  return write_all(client_.get(), frame, Deadline::after(kSendTimeout));
}

std::vector<std::string> ExecSession::command() const {
  const OciRuntime& runtime = machine_.runtime();
  std::vector<std::string> line{runtime.program()};
  for (auto& word : runtime.leading_args()) line.push_back(word);
  line.insert(line.end(), {"exec", "--pid-file", pid_file_});
  if (request_.tty) line.emplace_back("--tty");
  for (const auto& [name, value] : request_.env) line.insert(line.end(), {"--env", name + "=" + value});
  line.push_back(request_.job_id);
  line.insert(line.end(), request_.args.begin(), request_.args.end());
  return line;
}

// {ours, number in the child}; `theirs` are closed here once the child has them.
Result<void> ExecSession::make_streams(std::vector<std::pair<int, int>>& fds, std::vector<UniqueFd>& theirs) {
  if (request_.tty) {
    int master = -1, slave = -1;
    winsize size{request_.rows, request_.columns, 0, 0};
    if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0) return errno_error(errno, "open a terminal");
    output_ = UniqueFd(master);
    theirs.emplace_back(slave);
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    ::fcntl(slave, F_SETFD, FD_CLOEXEC);
    for (const int number : {0, 1, 2}) fds.emplace_back(slave, number);
    auto copy = duplicate(master);
    if (!copy) return copy.error();
    input_ = std::move(*copy);
  } else {
    auto in = make_pipe(), out = make_pipe(), err = make_pipe();
    for (const auto* pipe : {&in, &out, &err})
      if (!*pipe) return pipe->error();
    input_ = std::move(in->second);
    output_ = std::move(out->first);
    errors_ = std::move(err->first);
    fds = {{in->first.get(), 0}, {out->second.get(), 1}, {err->second.get(), 2}};
    theirs.push_back(std::move(in->first));
    theirs.push_back(std::move(out->second));
    theirs.push_back(std::move(err->second));
    unblock(errors_.get());
  }
  unblock(input_.get());
  unblock(output_.get());
  return {};
}

Result<void> ExecSession::spawn() {
  ChildPlan plan;
  std::vector<UniqueFd> theirs;
  if (auto made = make_streams(plan.fds, theirs); !made) return made;
  plan.args = command();
  plan.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  plan.new_session = true;
  auto pid = spawn_child(plan);
  if (!pid) return pid.error();
  pid_ = *pid;
  child_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!child_) return errno_error(errno, "watch the process");
  return {};
}

void ExecSession::run(const StopSignal& stop) {
  auto spawned = spawn();
  if (spawned) relay(stop);
  const int status = pid_ > 0 ? wait_status() : 1;
  if (!spawned) {
    (void)send(error_frame(spawned.error().message));
    return;
  }
  if (stop.asked()) {
    (void)send(error_frame("the host plugin is being replaced: run the command again"));
    return;
  }
  (void)send(data_frame(1, {}));
  (void)send(data_frame(2, {}));
  (void)send(exit_frame(static_cast<std::uint32_t>(status)));
}

// Until the process has ended and all that it wrote is sent.
void ExecSession::relay(const StopSignal& stop) {
  bool ended = false;
  while (!stop.asked()) {
    const bool room = to_process_.size() < kInputBytesMax;
    std::array<pollfd, 6> entries{pollfd{stop.fd(), POLLIN, 0},
                                  pollfd{child_.get(), POLLIN, 0},
                                  pollfd{output_ ? output_.get() : -1, POLLIN, 0},
                                  pollfd{errors_ ? errors_.get() : -1, POLLIN, 0},
                                  pollfd{client_ && room ? client_.get() : -1, POLLIN, 0},
                                  pollfd{input_ && !to_process_.empty() ? input_.get() : -1, POLLOUT, 0}};
    const int patience = ended ? 0 : kill_at_ ? 1000 : -1;
    const int ready = ::poll(entries.data(), entries.size(), patience);
    if (entries[2].revents != 0) take_output(output_, 1);
    if (entries[3].revents != 0) take_output(errors_, 2);
    if (entries[4].revents != 0 && !take_from_client()) client_left();
    if (entries[5].revents != 0) write_input();
    if (kill_at_ && steady_clock::now() >= *kill_at_) signal(SIGKILL);
    // What it left in the background may hold the pipes open for ever: what is there now is all.
    if (ended && ready == 0) return;
    if ((entries[1].revents & POLLIN) != 0) {
      ended = true;
      child_.reset();
    }
    if (ended && !output_ && !errors_) return;
  }
}

void ExecSession::take_output(UniqueFd& from, std::uint8_t stream) {
  std::array<char, kReadBytes> chunk{};
  const auto got = ::read(from.get(), chunk.data(), chunk.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return from.reset();  // a terminal without a process says EIO
  if (client_) (void)send(data_frame(stream, {chunk.data(), static_cast<std::size_t>(got)}));
}

bool ExecSession::take_from_client() {
  std::array<char, kReadBytes> chunk{};
  const auto got = ::recv(client_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  from_client_.append(chunk.data(), static_cast<std::size_t>(got));
  while (true) {
    auto frame = take_client_frame(from_client_);
    if (!frame) return false;
    if (!*frame) return true;
    obey(**frame);
  }
}

void ExecSession::obey(const ClientFrame& frame) {
  switch (frame.type) {
    case ClientFrame::Type::signal:
      return signal(static_cast<int>(frame.signal));
    case ClientFrame::Type::resize: {
      if (!request_.tty || !output_) return;
      const winsize size{frame.rows, frame.columns, 0, 0};
      ::ioctl(output_.get(), TIOCSWINSZ, &size);
      // The process has another terminal, made by the runtime, and not every runtime passes the size on.
      const UniqueFd inner(::open(("/proc/" + std::to_string(process_id()) + "/fd/0").c_str(),
                                  O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
      if (inner) ::ioctl(inner.get(), TIOCSWINSZ, &size);
      return;
    }
    case ClientFrame::Type::stdin_end:
      end_input_ = true;
      break;
    case ClientFrame::Type::stdin_data:
      to_process_ += frame.data;
      break;
  }
  write_input();
}

void ExecSession::write_input() {
  while (input_ && !to_process_.empty()) {
    const auto sent = ::write(input_.get(), to_process_.data(), to_process_.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      to_process_.clear();
      input_.reset();
      return;
    }
    to_process_.erase(0, static_cast<std::size_t>(sent));
  }
  // A terminal has no end of input but a character, which the client's terminal sends by itself.
  if (end_input_ && !request_.tty) input_.reset();
}

pid_t ExecSession::process_id() const {
  const auto text = read_file(pid_file_, 32);
  return text ? static_cast<pid_t>(std::strtol(text->c_str(), nullptr, 10)) : 0;
}

// To the process in the job; the runtime itself only waits for it.
void ExecSession::signal(int number) {
  if (number < 1 || number > 64) return;
  if (const pid_t pid = process_id(); pid > 1) ::kill(pid, number);
  if (number == SIGKILL && pid_ > 0) ::kill(pid_, SIGKILL);
}

void ExecSession::client_left() {
  client_.reset();
  end_input_ = true;
  write_input();
  signal(SIGHUP);
  kill_at_ = steady_clock::now() + kKillAfter;
}

int ExecSession::wait_status() {
  // Ended, or the plugin is being stopped: then it must not outlive us.
  if (child_) signal(SIGKILL);
  const auto status = wait_child(pid_, Deadline::after(kReapTimeout));
  return status ? *status : 1;
}

}  // namespace flynn::host
