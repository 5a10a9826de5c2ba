#include "attach_session.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "flynn/sdk/stream.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPacketBytesMax = 8192;  // what conmon reads at once
constexpr std::size_t kReadBytes = 65536;
constexpr auto kSendTimeout = 60s;
constexpr char kAttached = 0, kWaiting = 1;
constexpr char kStdout = 2, kStderr = 3;  // conmon's stream numbers; ours are one less

}  // namespace

AttachSession::AttachSession(Machine& machine, AttachSupport support, AttachRequest request, UniqueFd client)
    : machine_(machine), support_(std::move(support)), request_(std::move(request)), client_(std::move(client)) {}

void AttachSession::start() {
  worker_.start("host-attach", [this](const StopSignal& stop) {
    run(stop);
    client_.reset();
    job_.reset();
    done_ = true;
  });
}

Result<void> AttachSession::send(const std::string& frame) {
  return write_all(client_.get(), frame, Deadline::after(kSendTimeout));
}

Result<void> AttachSession::wait_for_job() {
  if (!request_.use_state_bytes) return support_.wait_until_created(request_.job_id, request_.deadline);
  // A deadline in the past: is it there already?
  auto outcome = support_.wait_until_created(request_.job_id, Deadline::after(0s));
  if (!outcome && outcome.error().code == Code::not_found) {
    (void)send(std::string(1, kWaiting));
    outcome = support_.wait_until_created(request_.job_id, request_.deadline);
  }
  if (outcome) (void)send(std::string(1, kAttached));
  return outcome;
}

void AttachSession::run(const StopSignal& stop) {
  auto outcome = wait_for_job();
  if (outcome) {
    auto socket = connect_attach(machine_.paths(), request_.job_id);
    if (socket) {
      job_ = std::move(*socket);
      if (request_.rows > 0 && request_.columns > 0)  // without a terminal there is nothing to resize
        (void)resize_terminal(machine_.paths(), request_.job_id, request_.rows, request_.columns);
      support_.attached(request_.job_id);
      if (!request_.use_stdin) ::shutdown(job_.get(), SHUT_WR);
      outcome = relay(stop);
    } else {
      // A job that has ended already has nothing to attach to, but an exit status.
      support_.attached(request_.job_id);
    }
  }
  if (stop.asked()) return;
  if (!outcome) {
    (void)send(error_frame(outcome.error().message));
    return;
  }
  finish();
}

void AttachSession::finish() {
  auto status = support_.wait_for_exit(request_.job_id);
  (void)send(data_frame(1, {}));
  (void)send(data_frame(2, {}));
  (void)send(status ? exit_frame(*status) : error_frame(status.error().message));
}

// Until the job's side ends. A client that has left no longer counts, but its stdin ends.
Result<void> AttachSession::relay(const StopSignal& stop) {
  bool client_here = true;
  while (true) {
    std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{job_.get(), POLLIN, 0},
                                  pollfd{client_here ? client_.get() : -1, POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR)
      return errno_error(errno, "wait for the job's output");
    if (entries[0].revents != 0) return {};
    if (entries[1].revents != 0 && !take_from_job()) return {};
    if (entries[2].revents != 0 && !take_from_client()) {
      client_here = false;
      ::shutdown(job_.get(), SHUT_WR);
    }
  }
}

bool AttachSession::take_from_job() {
  std::array<char, kReadBytes> packet{};
  const auto got = ::recv(job_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  if (got == 1) return true;
  const char stream = packet[0];
  const bool wanted = (stream == kStdout && request_.use_stdout) || (stream == kStderr && request_.use_stderr);
  if (wanted)
    (void)send(
        data_frame(static_cast<std::uint8_t>(stream - 1), {packet.data() + 1, static_cast<std::size_t>(got - 1)}));
  return true;
}

bool AttachSession::take_from_client() {
  std::array<char, kReadBytes> chunk{};
  const auto got = ::recv(client_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  from_client_.append(chunk.data(), static_cast<std::size_t>(got));
  while (true) {
    auto frame = take_client_frame(from_client_);
    if (!frame) return false;
    if (!*frame) return true;
    if (auto obeyed = obey(**frame); !obeyed && obeyed.error().code == Code::cancelled) return true;
  }
}

Result<void> AttachSession::obey(const ClientFrame& frame) {
  switch (frame.type) {
    case ClientFrame::Type::signal:
      return machine_.signal(request_.job_id, static_cast<int>(frame.signal));
    case ClientFrame::Type::resize:
      return resize_terminal(machine_.paths(), request_.job_id, frame.rows, frame.columns);
    case ClientFrame::Type::stdin_end:
      ::shutdown(job_.get(), SHUT_WR);
      return {};
    case ClientFrame::Type::stdin_data:
      break;
  }
  if (!request_.use_stdin) return {};
  for (std::size_t at = 0; at < frame.data.size(); at += kPacketBytesMax)
    if (auto sent = write_all(job_.get(), std::string_view(frame.data).substr(at, kPacketBytesMax),
                              Deadline::after(kSendTimeout));
        !sent)
      return sent;
  return {};
}

}  // namespace flynn::host
