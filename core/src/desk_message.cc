#include "desk_message.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "flynn/sdk/json.h"

namespace flynn::core {
namespace {

// One descriptor is expected. The kernel closes what has no room.
struct alignas(cmsghdr) Control {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

}  // namespace

Result<void> send_listener(int keeper, const std::string& name, int socket) {
  auto text = json::serialize(json::object{{"listener", name}});
  iovec piece{text.data(), text.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof socket);
  std::memcpy(CMSG_DATA(header), &socket, sizeof socket);
  if (::sendmsg(keeper, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return errno_error(errno, "hand the socket to the keeper");
  return {};
}

ssize_t receive_message(int fd, std::span<char> room, std::vector<UniqueFd>& fds) {
  fds.clear();
  iovec piece{room.data(), room.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const auto got = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int one = -1;
      std::memcpy(&one, CMSG_DATA(header) + at, sizeof one);
      fds.emplace_back(one);
    }
  }
  return got;
}

}  // namespace flynn::core
