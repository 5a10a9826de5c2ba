#include "wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace flynn::builder {

Result<std::pair<UniqueFd, UniqueFd>> make_message_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return errno_error(errno, "make a socket pair");
  return std::pair<UniqueFd, UniqueFd>{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<void> send_message(int socket, const json::object& body, const std::vector<int>& fds) {
  std::string text = json::serialize(body);
  if (text.size() > kWireMessageBytesMax || fds.size() > kWireDescriptorsMax) {
    return Error{Code::resource_exhausted, "the message is too large"};
  }
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kWireDescriptorsMax)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno_error(errno, "send to the other process");
  }
  return {};
}

Result<WireMessage> receive_message(int socket, Deadline deadline) {
  std::string text(kWireMessageBytesMax, '\0');
  for (;;) {
    pollfd waiting{socket, POLLIN, 0};
    int ready = ::poll(&waiting, 1, deadline.is_none() ? -1 : deadline.left_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno_error(errno, "wait for the other process");
    if (ready == 0) return Error{Code::deadline_exceeded, "the other process did not answer in time"};
    break;
  }
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kWireDescriptorsMax)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size < 0) return errno_error(errno, "receive from the other process");
  if (size == 0) return Error{Code::cancelled, "the other process has ended"};
  WireMessage received;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  auto body = parse_json_object(std::string_view(text.data(), static_cast<std::size_t>(size)));
  if (!body) return body.error().context("message of the other process");
  received.body = std::move(*body);
  return received;
}

}  // namespace flynn::builder
