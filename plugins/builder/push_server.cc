#include "push_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace flynn::builder {
namespace {

constexpr int kReapMs = 1000;
constexpr int kTroubleMs = 200;
constexpr int kDrainStepMs = 50;

}  // namespace

void PushServer::prepare(UniqueFd listener) {
  listener_ = std::move(listener);
  acceptor_.start(transport_ == Transport::ssh ? "builder-ssh" : "builder-http",
                  [this](const StopSignal& stop) { accept_loop(stop); });
}

void PushServer::activate() {
  gate_.open();
  wake_.ask();
}

void PushServer::quiesce() {
  gate_.close();
  (void)gate_.wait_empty();
}

void PushServer::accept_loop(const StopSignal& stop) {
  while (!stop.asked()) {
    reap();
    wake_.clear();
    // Of a closed gate's socket another instance takes the connections.
    pollfd set[] = {
        {gate_.is_open() ? listener_.get() : -1, POLLIN, 0}, {stop.fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    ::poll(set, 3, kReapMs);
    if (set[0].revents != 0 && !accept_one()) stop.wait(kTroubleMs);
  }
}

// False: the system is in trouble.
bool PushServer::accept_one() {
  const auto pass = gate_.enter();
  if (!pass) return true;
  // Not inherited by the accepted one; another instance may have taken this connection, so never block here.
  UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (connection) {
    serve(std::move(connection));
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    log_.error("accept_failed", {{"error", errno_error(errno, "accept").message}});
    return false;
  }
  return true;
}

void PushServer::serve(UniqueFd connection) {
  if (live_ >= config_.sessions_max) {
    log_.warn("session_refused", {{"error", "sessions_max is reached"}});
    return;
  }
  auto session = std::make_unique<Session>();
  Session* raw = session.get();
  sessions_.push_back(std::move(session));
  ++live_;
  auto shared = std::make_shared<UniqueFd>(std::move(connection));  // std::function must be copyable
  raw->worker.start("builder-push", [this, raw, shared](const StopSignal& stop) {
    PushSession(transport_, door_, log_, pipeline_, config_, stop).serve(std::move(*shared));
    raw->ended = true;
    --live_;
  });
}

void PushServer::reap() {
  std::erase_if(sessions_, [](const auto& session) { return session->ended.load(); });
}

void PushServer::drain(Deadline deadline) {
  while (live_ > 0 && !deadline.passed()) session_ended_.wait(std::min(kDrainStepMs, deadline.left_ms()));
}

void PushServer::stop() {
  gate_.close();
  acceptor_.stop();
  for (const auto& session : sessions_) session->worker.ask_stop();
  sessions_.clear();
  listener_.reset();
}

}  // namespace flynn::builder
