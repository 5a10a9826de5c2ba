#include "health_checks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "flynn/sdk/stream.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr auto kAskTimeout = 1500ms;
constexpr auto kFirstInterval = 100ms;  // until the first pass: a deployment waits for it
constexpr auto kTtl = 10'000ms, kRenewEvery = 3'000ms;

std::string words(int error) { return errno_error(error, "").message.substr(2); }

Result<UniqueFd> connect_to(const std::string& address, std::uint16_t port, Deadline deadline) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  if (errno != EINPROGRESS) return Error{Code::unavailable, words(errno)};
  pollfd entry{fd.get(), POLLOUT, 0};
  if (::poll(&entry, 1, deadline.left_ms()) <= 0) return Error{Code::unavailable, "no answer"};
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return Error{Code::unavailable, words(failure)};
  return fd;
}

Result<void> ask_http(int fd, const std::string& host, const std::string& path, Deadline deadline) {
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: flynn-health\r\nConnection: close\r\n\r\n";
  if (auto sent = write_all(fd, request, deadline); !sent) return Error{Code::unavailable, sent.error().message};
  std::string answer;
  std::array<char, 512> chunk{};
  while (answer.size() < 12) {
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, deadline.left_ms()) <= 0) return Error{Code::unavailable, "no HTTP answer"};
    const auto got = ::read(fd, chunk.data(), chunk.size());
    if (got <= 0) return Error{Code::unavailable, "closed without an HTTP answer"};
    answer.append(chunk.data(), static_cast<std::size_t>(got));
  }
  if (!answer.starts_with("HTTP/1.") || answer[9] < '1' || answer[9] > '4')
    return Error{Code::unavailable, "answered " + answer.substr(0, 12)};
  return {};
}

}  // namespace

Result<void> check_once(const ServiceCheck& check, const std::string& address, std::uint16_t port,
                        std::chrono::milliseconds timeout) {
  const auto deadline = Deadline::after(timeout);
  auto fd = connect_to(address, port, deadline);
  if (!fd) return fd.error();
  return check.type == CheckType::tcp ? Result<void>() : ask_http(fd->get(), address, check.path, deadline);
}

void HealthChecks::start() {
  worker_.start("host-health", [this](const StopSignal& stop) { run(stop); });
}

void HealthChecks::add(const JobSpec& spec, const std::string& address, bool already_up, Announce announce,
                       Callbacks callbacks) {
  auto job = std::make_shared<Job>();
  job->spec = spec;
  job->address = address;
  job->callbacks = std::move(callbacks);
  job->told = already_up;
  job->announce = announce;
  job->began = Clock::now();
  for (const auto& port : spec.ports) {
    if (port.service.empty() && !port.check) continue;
    Port entry;
    entry.spec = port;
    entry.passed_once = already_up || !port.check;
    entry.registered_before = already_up && !port.service.empty();
    entry.next = entry.renew_at = Clock::now();
    job->ports.push_back(std::move(entry));
  }
  if (job->ports.empty()) return;
  const std::lock_guard lock(mutex_);
  jobs_[spec.id] = std::move(job);
}

void HealthChecks::clear() {
  const std::lock_guard lock(mutex_);
  jobs_.clear();
}

void HealthChecks::deregister(const std::string& job_id, const std::string& service) {
  auto gone = door_.call("flynn.discovery/1", "Deregister", {{"service", service}, {"id", job_id}});
  // Its lease ends it anyway.
  if (!gone) log_.warn("deregister_failed", {{"job", job_id}, {"service", service}, {"error", gone.error().message}});
}

void HealthChecks::remove(const std::string& job_id) {
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(job_id);
    if (found == jobs_.end()) return;
    job = found->second;
    jobs_.erase(found);
  }
  const std::lock_guard wait(tending_);
  for (auto& port : job->ports)
    if (may_be_registered(port)) deregister(job_id, port.spec.service);
}

void HealthChecks::withdraw(const std::string& job_id) {
  const std::lock_guard tending(tending_);
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(job_id);
    if (found == jobs_.end()) return;
    job = found->second;
  }
  job->announce = Announce::no;
  for (auto& port : job->ports)
    if (may_be_registered(port)) {
      port.registered = port.registered_before = false;
      deregister(job_id, port.spec.service);
    }
}

void HealthChecks::register_port(Job& job, Port& port) {
  if (port.spec.service.empty() || job.announce == Announce::no) return;
  const auto now = Clock::now();
  if (port.registered && now < port.renew_at) return;
  port.renew_at = now + kRenewEvery;
  if (port.registered) {
    auto renewed = door_.call("flynn.discovery/1", "Renew",
                              {{"service", port.spec.service}, {"id", job.spec.id}, {"lease", port.lease}}, 5s);
    if (renewed || renewed.error().code != Code::not_found) return;
  }
  const json::object meta{{"app_id", job.spec.app_id},
                          {"release_id", job.spec.release_id},
                          {"type", job.spec.type},
                          {"job_id", job.spec.id}};
  auto added = door_.call("flynn.discovery/1", "Register",
                          {{"service", port.spec.service},
                           {"id", job.spec.id},
                           {"addr", job.address + ":" + std::to_string(port.spec.port)},
                           {"meta", meta},
                           {"ttl_ms", kTtl.count()}},
                          5s);
  port.registered = added.ok();
  if (added) port.lease = string_or(added->body, "lease");
  if (!added) {
    port.renew_at = now + kFirstInterval;
    log_.warn("register_failed",
              {{"job", job.spec.id}, {"service", port.spec.service}, {"error", added.error().message}});
  }
}

void HealthChecks::tend_port(Job& job, Port& port) {
  const auto now = Clock::now();
  if (port.spec.check && now >= port.next) {
    const auto& check = *port.spec.check;
    const auto passed = check_once(check, job.address, port.spec.port, kAskTimeout);
    port.failures = passed ? 0 : port.failures + 1;
    port.passed_once = port.passed_once || passed.ok();
    port.last_error = passed ? std::string() : passed.error().message;
    port.next = now + (port.passed_once ? check.interval : std::min<milliseconds>(check.interval, kFirstInterval));
    if (!passed && may_be_registered(port) && port.failures >= check.threshold) {
      log_.warn("instance_down", {{"job", job.spec.id}, {"port", port.spec.port}, {"why", port.last_error}});
      deregister(job.spec.id, port.spec.service);
      port.registered = port.registered_before = false;
    }
  }
  if (port.passed_once && (!port.spec.check || port.failures < port.spec.check->threshold)) register_port(job, port);
}

void HealthChecks::tend(const std::string& job_id) {
  const std::lock_guard tending(tending_);
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(job_id);
    if (found == jobs_.end()) return;
    job = found->second;
  }
  for (auto& port : job->ports) tend_port(*job, port);
  if (job->told) return;
  if (std::all_of(job->ports.begin(), job->ports.end(), [](const Port& port) { return port.passed_once; })) {
    job->told = true;
    return job->callbacks.passed();
  }
  for (const auto& port : job->ports) {
    if (port.passed_once || Clock::now() - job->began < port.spec.check->start_timeout) continue;
    job->told = true;
    return job->callbacks.gave_up("nothing answers on port " + std::to_string(port.spec.port) + " within " +
                                  std::to_string(port.spec.check->start_timeout.count()) + " ms (" + port.last_error +
                                  "); the process must listen on $PORT, on all addresses");
  }
}

int HealthChecks::next_wait_ms() {
  const std::lock_guard lock(mutex_);
  return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& entry) { return !entry.second->told; }) ? 50 : 250;
}

void HealthChecks::run(const StopSignal& stop) {
  while (!stop.wait(next_wait_ms())) {
    std::vector<std::string> ids;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [id, job] : jobs_) ids.push_back(id);
    }
    for (const auto& id : ids) {
      const auto pass = gate_.enter();
      if (stop.asked() || !pass) break;
      tend(id);
    }
  }
}

}  // namespace flynn::host
