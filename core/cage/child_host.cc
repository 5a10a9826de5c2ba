#include "child_host.h"

#include <algorithm>
#include <cstring>

#include "answer.h"

namespace flynn::core {
namespace {

// As the door's own, plus what the way costs.
constexpr std::chrono::seconds kCallTimeout{30}, kListenerTimeout{10};
constexpr std::chrono::seconds kMargin{1};

}  // namespace

Result<void> ControlLane::send(const Frame& frame, Deadline deadline) {
  const std::lock_guard lock(sending_);
  return lane.send(frame, deadline);
}

Result<void> ControlLane::hand_out(Lane other_end) {
  const int fd = other_end.fd();
  Frame frame;
  frame.kind = FrameKind::lane;
  frame.fds = &fd;
  frame.fd_count = 1;
  return send(frame, Deadline::after(kListenerTimeout));
}

ChildHost::ChildHost(ControlLane& control, std::string info_json)
    : control_(control),
      lanes_([this](Lane other_end) { return control_.hand_out(std::move(other_end)); }),
      info_json_(std::move(info_json)) {
  table_.struct_size = sizeof table_;
  table_.abi_major = FLYNN_ABI_MAJOR;
  table_.abi_minor = FLYNN_ABI_MINOR;
  table_.ctx = this;
  table_.call = &ChildHost::call;
  table_.log = &ChildHost::log;
  table_.listener = &ChildHost::listener;
  table_.info = &ChildHost::info;
}

flynn_status ChildHost::call(const flynn_host* host, const flynn_call* call, flynn_reply* reply) noexcept {
  auto& me = self(host);
  auto request = frame_of(FrameKind::call, *call);
  if (request.deadline_ns == 0) request.deadline_ns = Deadline::after(kCallTimeout).ns;
  flynn_status status = FLYNN_E_INTERNAL;
  const Deadline patience{request.deadline_ns + static_cast<std::uint64_t>(std::chrono::nanoseconds(kMargin).count())};
  auto done = me.lanes_.exchange(request, patience, [&](Received& answer) { status = give(answer, reply); });
  return done ? status : refuse(reply, done.error());
}

void ChildHost::log(const flynn_host* host, std::int32_t level, flynn_bytes event, flynn_bytes fields) noexcept {
  Frame frame;
  frame.kind = FrameKind::log;
  frame.code = level;
  frame.method = view_of(event);
  frame.body = view_of(fields);
  // Without a host there is nobody to read it.
  (void)self(host).control_.send(frame);
}

flynn_status ChildHost::listener(const flynn_host* host, flynn_bytes name, int* fd, flynn_error* error) noexcept {
  Frame request;
  request.kind = FrameKind::listener;
  request.method = view_of(name);
  Result<UniqueFd> lent = Error{Code::internal, "the host lent no socket"};
  auto done = self(host).lanes_.exchange(request, Deadline::after(kListenerTimeout), [&](Received& answer) {
    if (answer.frame.code != FLYNN_OK)
      lent = Error{code_from_status(answer.frame.code), std::string(answer.frame.method)};
    else if (!answer.fds.empty())
      lent = std::move(answer.fds.front());
  });
  if (!done) lent = done.error();
  if (lent) {
    *fd = lent->release();
    return FLYNN_OK;
  }
  if (error != nullptr) {
    const auto& words = lent.error().message;
    error->code = static_cast<flynn_status>(lent.error().code);
    error->message_size = static_cast<std::uint32_t>(std::min(words.size(), sizeof error->message));
    std::memcpy(error->message, words.data(), error->message_size);
  }
  return static_cast<flynn_status>(lent.error().code);
}

void ChildHost::info(const flynn_host* host, flynn_reply* reply) noexcept {
  reply->set_body(reply, bytes_of(self(host).info_json_));
}

}  // namespace flynn::core
