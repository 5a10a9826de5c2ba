#include "plugin/tcp_ports.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace flynn::router {
namespace {

constexpr std::chrono::milliseconds kRetryFirst{200}, kRetryMax{30'000};

std::string listener_name(int port) { return "router.tcp:" + std::to_string(port); }

std::string advice(Code code, const TcpRoute& route) {
  const auto without = ", or remove the route: flynn -a <its app> route remove tcp/" + route.id;
  const auto number = std::to_string(route.port);
  switch (code) {
    case Code::unavailable:
    case Code::already_exists:
    case Code::resource_exhausted:
      return "free the port (ss -ltnp 'sport = :" + number + "' shows who has it)" + without;
    default:
      return "give the router a range with port " + number +
             ": \"router.tcp\" = \"0.0.0.0:3000-3500\" in [listeners] of the node's configuration, and restart the "
             "host" +
             without;
  }
}

}  // namespace

void TcpPorts::start(const std::string& thread_name) {
  worker_.start(thread_name, [this](const StopSignal& stop) { run(stop); });
}

void TcpPorts::stop() {
  {
    const std::lock_guard inbox(inbox_mutex_);
    stopping_ = true;
  }
  news_.notify_all();
  worker_.stop();
  close();  // the loops must not come here any more
}

void TcpPorts::set_routes(std::vector<TcpRoute> routes) {
  std::map<int, TcpRoute> wanted;
  for (auto& route : routes) wanted.try_emplace(route.port, std::move(route));
  {
    const std::lock_guard inbox(inbox_mutex_);
    if (wanted == wanted_) return;
    wanted_ = std::move(wanted);
    changed_ = true;
  }
  news_.notify_all();
}

void TcpPorts::run(const StopSignal& stop) {
  while (!stop.asked()) {
    Clock::time_point retry;
    {
      const std::lock_guard lock(mutex_);
      reconcile();
      retry = next_retry();
    }
    std::unique_lock inbox(inbox_mutex_);
    const auto woken = [this] { return changed_ || stopping_; };
    if (retry == Clock::time_point::max())
      news_.wait(inbox, woken);
    else
      news_.wait_until(inbox, retry, woken);
    if (stopping_) return;
  }
}

TcpPorts::Clock::time_point TcpPorts::next_retry() const {
  auto first = Clock::time_point::max();
  if (accepting_)
    for (const auto& [number, port] : ports_)
      if (!port.fd) first = std::min(first, port.retry_at);
  return first;
}

void TcpPorts::open() {
  const std::lock_guard lock(mutex_);
  accepting_ = true;
  reconcile();
  // The worker learns of what must be tried again.
  {
    const std::lock_guard inbox(inbox_mutex_);
    changed_ = true;
  }
  news_.notify_all();
}

void TcpPorts::close() {
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  for (const auto& [number, port] : ports_)
    if (port.fd) plane_.stop_accepting_tcp(number);
  ports_.clear();
}

void TcpPorts::reconcile() {
  std::map<int, TcpRoute> wanted;
  {
    const std::lock_guard inbox(inbox_mutex_);
    changed_ = false;
    wanted = wanted_;
    for (const int number : std::exchange(lost_, {}))
      if (const auto found = ports_.find(number); found != ports_.end()) found->second.fd.reset();
  }
  for (const auto& [number, route] : wanted) seen_.insert(number);
  if (!accepting_) return;
  shut_gone(wanted);
  const auto now = Clock::now();
  for (auto& [number, route] : wanted) {
    auto& port = ports_[number];
    const bool same = port.route == route;
    port.route = route;
    if (same ? port.fd || port.retry_at > now : false) continue;
    if (!same) port.retry = {};
    open_port(number, port);
  }
}

// Also those that this instance never opened: it may have learnt before it accepted that a route was gone, and the
// other instance only after it had stopped accepting.
void TcpPorts::shut_gone(const std::map<int, TcpRoute>& wanted) {
  for (auto seen = seen_.begin(); seen != seen_.end();) {
    if (wanted.contains(*seen)) {
      ++seen;
      continue;
    }
    UniqueFd fd;
    if (auto port = ports_.extract(*seen); !port.empty()) fd = std::move(port.mapped().fd);
    // Out of every loop first: whoever else accepts from it is to hear of the end.
    if (fd)
      plane_.stop_accepting_tcp(*seen);
    else if (auto lent = lend_(listener_name(*seen)); lent)
      fd = std::move(*lent);
    if (fd) ::shutdown(fd.get(), SHUT_RD);
    seen = seen_.erase(seen);
  }
}

void TcpPorts::open_port(int number, Port& port) {
  const auto failed = [&](const Error& error) {
    tell(port, error);
    port.fd.reset();
    port.error = error.message;
    port.retry = std::clamp(port.retry * 2, kRetryFirst, kRetryMax);
    port.retry_at = Clock::now() + port.retry;
  };
  auto lent = lend_(listener_name(number));
  if (!lent) return failed(lent.error());
  const auto on_lost = [this, number] {
    {
      const std::lock_guard inbox(inbox_mutex_);
      lost_.insert(number);
      changed_ = true;
    }
    news_.notify_all();
  };
  if (const auto failure = plane_.accept_tcp(number, lent->get(), port.route.target, on_lost); !failure.empty())
    return failed(Error{Code::unavailable, failure});
  if (!std::exchange(port.error, {}).empty())
    log_.info("tcp_port_open", {{"port", number}, {"route", port.route.id}, {"service", port.route.target.service}});
  port.fd = std::move(*lent);
  port.retry = {};
}

void TcpPorts::tell(const Port& port, const Error& error) {
  if (port.error == error.message) return;
  log_.warn("tcp_port_not_open", {{"port", port.route.port},
                                  {"route", port.route.id},
                                  {"service", port.route.target.service},
                                  {"error", error.message},
                                  {"effect", "nobody listens there; tried again with back-off"},
                                  {"do", advice(error.code, port.route)}});
}

std::vector<TcpPorts::PortState> TcpPorts::state() const {
  const std::lock_guard lock(mutex_);
  std::vector<PortState> all;
  for (const auto& [number, port] : ports_) all.push_back({port.route, static_cast<bool>(port.fd), port.error});
  return all;
}

}  // namespace flynn::router
