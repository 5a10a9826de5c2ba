#include "conmon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <sstream>

#include "child_process.h"
#include "files.h"
#include "flynn/sdk/json.h"

namespace flynn::host {
namespace {

constexpr char kConmon[] = "/usr/bin/conmon";
constexpr auto kCreateTimeout = std::chrono::seconds(60);
// Descriptor numbers in the child, told by environment variables.
constexpr int kSyncFd = 3, kStartFd = 4;

struct Pipe {
  UniqueFd reader, writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

ChildPlan monitor_plan(const JobSpec& spec, const NodePaths& paths, const OciRuntime& runtime,
                       std::uint64_t log_bytes_max) {
  const auto bundle = paths.job_bundle(spec.id);
  ChildPlan plan;
  plan.args = {kConmon, "--api-version", "1", "-c", spec.id, "-u", spec.id, "-n", spec.id, "-r", runtime.program(),
               "-b", bundle, "-p", bundle + "/job.pid", "-P", bundle + "/conmon.pid", "--exit-dir",
               paths.job_exit(spec.id),
               // full-attach: the socket lies in the bundle and is reached by way of a descriptor, so the length of
               // the path does not matter.
               "--full-attach", "--log-level", "error"};
  if (spec.log) {
    plan.args.insert(plan.args.end(),
                     {"-l", "k8s-file:" + paths.job_log(spec.id), "--log-size-max", std::to_string(log_bytes_max)});
  } else {
    plan.args.insert(plan.args.end(), {"-l", "none"});
  }
  if (spec.tty) plan.args.emplace_back("-t");
  if (spec.use_stdin) plan.args.emplace_back("-i");
  for (const auto& arg : runtime.leading_args()) plan.args.insert(plan.args.end(), {"--runtime-arg", arg});
  plan.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
              {"_OCI_SYNCPIPE", std::to_string(kSyncFd)},
              {"_OCI_STARTPIPE", std::to_string(kStartFd)}};
  plan.new_session = true;
  return plan;
}

// One line of JSON: {"data": pid} or {"data": -1, "message": "what the runtime said"}.
Result<pid_t> read_report(int fd) {
  const auto deadline = Deadline::after(kCreateTimeout);
  std::string text;
  while (text.find('\n') == std::string::npos) {
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, deadline.left_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Error{Code::deadline_exceeded, "conmon did not report that the container was made"};
    char chunk[4096];
    const auto got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(chunk, static_cast<std::size_t>(got));
  }
  auto report = parse_json_object(text);
  if (!report)
    return Error{Code::internal, "conmon ended without a report" + (text.empty() ? "" : ": " + text.substr(0, 300))};
  const auto pid = int_or(*report, "data", -1);
  if (pid > 0) return static_cast<pid_t>(pid);
  return Error{Code::internal,
               "make the container: " + string_or(*report, "message", "conmon gave no reason").substr(0, 500)};
}

Result<pid_t> read_pid(const std::string& path) {
  auto text = read_file(path, 64);
  if (!text) return text.error();
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 1) return Error{Code::not_found, path + " holds no pid"};
  return pid;
}

// Arguments of a process, each ended by NUL.
bool serves_bundle(pid_t pid, const std::string& bundle) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/cmdline", 1u << 20);
  if (!text || text->rfind(std::string(kConmon) + '\0', 0) != 0) return false;
  const std::string wanted = std::string("\0-b\0", 4) + bundle + '\0';
  return text->find(wanted) != std::string::npos;
}

}  // namespace

std::uint64_t process_start_time(pid_t pid) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return 0;
  // The name in parentheses may itself hold spaces and parentheses; field 3 follows the last one.
  const auto close = text->rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream fields(text->substr(close + 1));
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) continue;
  std::uint64_t start = 0;
  std::from_chars(field.data(), field.data() + field.size(), start);
  return start;
}

Result<StartedMonitor> start_monitor(const JobSpec& spec, const NodePaths& paths, const OciRuntime& runtime,
                                     const CgroupTree& cgroups, std::uint64_t log_bytes_max) {
  const auto bundle = paths.job_bundle(spec.id);
  for (const auto& folder : {bundle, paths.job_exit(spec.id), paths.logs()}) {
    if (auto made = make_folders(folder); !made) return made.error();
  }
  auto sync = make_pipe(), start = make_pipe();
  if (!sync) return sync.error();
  if (!start) return start.error();
  auto plan = monitor_plan(spec, paths, runtime, log_bytes_max);
  plan.fds = {{sync->writer.get(), kSyncFd}, {start->reader.get(), kStartFd}};
  auto pid = spawn_child(plan);
  if (!pid) return pid.error();
  sync->writer.reset();
  start->reader.reset();
  // conmon waits for a byte before it does anything, so that its cgroup is right for all that it starts.
  cgroups.adopt_monitor(*pid);
  if (::write(start->writer.get(), "1", 1) != 1) return errno_error(errno, "tell conmon to go on");
  start->writer.reset();
  auto job_pid = read_report(sync->reader.get());
  // The process that we started forks the real monitor and ends.
  auto ended = wait_child(*pid, Deadline::after(kCreateTimeout));
  if (!job_pid) return job_pid.error();
  if (!ended && ended.error().code == Code::deadline_exceeded) return ended.error().context("conmon");
  auto id = find_monitor(paths, spec.id);
  if (!id) return id.error();
  return StartedMonitor{*id, *job_pid};
}

Result<UniqueFd> open_monitor(const MonitorId& id) {
  if (id.pid <= 1) return Error{Code::not_found, "no monitor"};
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0)));
  if (!fd) return Error{Code::not_found, "the monitor has ended"};
  // Judged after the descriptor is open: from here on the pid can't change hands unseen.
  if (process_start_time(id.pid) != id.start_time) return Error{Code::not_found, "the monitor has ended"};
  return fd;
}

Result<MonitorId> find_monitor(const NodePaths& paths, const std::string& job_id) {
  const auto bundle = paths.job_bundle(job_id);
  auto pid = read_pid(bundle + "/conmon.pid");
  if (!pid) return pid.error();
  MonitorId id{*pid, process_start_time(*pid)};
  // It may have ended in a blink (a job that ends at once); then the exit file tells.
  if (!serves_bundle(*pid, bundle)) {
    if (read_exit_status(paths, job_id)) return MonitorId{};
    return Error{Code::not_found, "the monitor has ended"};
  }
  return id;
}

pid_t job_pid(const NodePaths& paths, const std::string& job_id) {
  return read_pid(paths.job_bundle(job_id) + "/job.pid").value_or(0);
}

std::optional<int> read_exit_status(const NodePaths& paths, const std::string& job_id) {
  auto text = read_file(paths.job_exit(job_id) + "/" + job_id, 64);
  if (!text) return std::nullopt;
  int status = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), status);
  if (parsed.ec != std::errc()) return std::nullopt;
  return status;
}

Result<UniqueFd> connect_attach(const NodePaths& paths, const std::string& job_id) {
  UniqueFd folder(::open(paths.job_bundle(job_id).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return errno_error(errno, "open the bundle of job " + job_id);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/attach", folder.get());
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(errno, "make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error(errno, "attach to job " + job_id);
  }
  return socket;
}

Result<void> resize_terminal(const NodePaths& paths, const std::string& job_id, unsigned rows, unsigned columns) {
  const auto path = paths.job_bundle(job_id) + "/ctl";
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open the control pipe of job " + job_id);
  const auto line = "1 " + std::to_string(rows) + " " + std::to_string(columns) + "\n";
  if (::write(fd.get(), line.data(), line.size()) < 0)
    return errno_error(errno, "resize the terminal of job " + job_id);
  return {};
}

}  // namespace flynn::host
