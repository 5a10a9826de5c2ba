#include "answer.h"

#include <algorithm>
#include <cstring>

namespace flynn::core {

Answer::Answer() {
  table_.struct_size = sizeof table_;
  table_.ctx = this;
  table_.set_body = [](flynn_reply* reply, flynn_bytes body) { self(reply).body_ = view_of(body); };
  table_.add_fd = [](flynn_reply* reply, int fd) { self(reply).fds_.emplace_back(fd); };
  table_.set_error = [](flynn_reply* reply, flynn_status, flynn_bytes message, flynn_bytes details) {
    self(reply).message_ = view_of(message);
    self(reply).details_ = view_of(details);
  };
}

Frame Answer::frame(flynn_status status) {
  Frame frame;
  frame.code = status;
  if (status == FLYNN_OK && (body_.size() > kFrameBytesMax || fds_.size() > kFrameFdsMax)) {
    frame.code = FLYNN_E_RESOURCE_EXHAUSTED;
    message_ = "the answer is too large to leave the cage: " + std::to_string(body_.size()) + " bytes and " +
               std::to_string(fds_.size()) + " descriptors (64 MiB and 253 may)";
    details_.clear();
  }
  if (frame.code != FLYNN_OK) {
    // What explains an error need not be long.
    frame.method = std::string_view(message_).substr(0, 64u << 10);
    frame.body = details_.size() <= kFrameBytesMax / 2 ? std::string_view(details_) : std::string_view();
    return frame;
  }
  frame.body = body_;
  numbers_.clear();
  for (const auto& fd : fds_) numbers_.push_back(fd.get());
  frame.fds = numbers_.data();
  frame.fd_count = static_cast<std::uint32_t>(numbers_.size());
  return frame;
}

flynn_status give(Received& received, flynn_reply* reply) {
  const auto& frame = received.frame;
  if (frame.code != FLYNN_OK) {
    reply->set_error(reply, frame.code, bytes_of(frame.method), bytes_of(frame.body));
    return frame.code;
  }
  if (!frame.body.empty()) reply->set_body(reply, bytes_of(frame.body));
  for (auto& fd : received.fds) reply->add_fd(reply, fd.release());
  return FLYNN_OK;
}

flynn_status refuse(flynn_reply* reply, const Error& error) {
  const auto status = static_cast<flynn_status>(error.code);
  reply->set_error(reply, status, bytes_of(error.message), flynn_bytes{nullptr, 0});
  return status;
}

flynn_call call_of(const Received& request, std::vector<int>& numbers) {
  numbers.clear();
  for (const auto& fd : request.fds) numbers.push_back(fd.get());
  flynn_call call{};
  call.struct_size = sizeof call;
  call.fd_count = static_cast<std::uint32_t>(numbers.size());
  call.fds = numbers.data();
  call.interface = bytes_of(request.frame.interface);
  call.method = bytes_of(request.frame.method);
  call.body = bytes_of(request.frame.body);
  call.deadline_ns = request.frame.deadline_ns;
  call.caller = bytes_of(request.frame.caller);
  call.request_id = bytes_of(request.frame.request_id);
  return call;
}

Frame frame_of(FrameKind kind, const flynn_call& call) {
  flynn_call known{};
  std::memcpy(&known, &call, std::min<std::size_t>(call.struct_size, sizeof known));
  Frame frame;
  frame.kind = kind;
  frame.deadline_ns = known.deadline_ns;
  frame.interface = view_of(known.interface);
  frame.method = view_of(known.method);
  frame.caller = view_of(known.caller);
  frame.request_id = view_of(known.request_id);
  frame.body = view_of(known.body);
  frame.fds = known.fds;
  frame.fd_count = known.fd_count;
  return frame;
}

}  // namespace flynn::core
