#include "peer_uid.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "flynn/sdk/unique_fd.h"

namespace flynn::host {
namespace {

constexpr std::uint32_t kSequence = 1;
constexpr timeval kPatience{1, 0};

// One end of a connection as inet_diag has it; a mapped IPv4 address is IPv4.
struct End {
  std::uint8_t family = AF_UNSPEC;
  std::array<std::uint32_t, 4> address{};  // network byte order
  std::uint16_t port = 0;                  // network byte order

  bool operator==(const End&) const = default;
  bool is_loopback() const {
    if (family == AF_INET) return ntohl(address[0]) >> 24 == 127;
    in6_addr wide{};
    std::memcpy(&wide, address.data(), sizeof wide);
    return family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&wide);
  }
};

End end_of(std::uint8_t family, const void* address, std::uint16_t port) {
  End end{family, {}, port};
  if (family == AF_INET) {
    std::memcpy(end.address.data(), address, sizeof(in_addr));
  } else if (family == AF_INET6) {
    in6_addr wide{};
    std::memcpy(&wide, address, sizeof wide);
    if (IN6_IS_ADDR_V4MAPPED(&wide)) return end_of(AF_INET, &wide.s6_addr[12], port);
    std::memcpy(end.address.data(), &wide, sizeof wide);
  }
  return end;
}

End end_of(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    const auto& narrow = reinterpret_cast<const sockaddr_in&>(from);
    return end_of(AF_INET, &narrow.sin_addr, narrow.sin_port);
  }
  if (from.ss_family == AF_INET6) {
    const auto& wide = reinterpret_cast<const sockaddr_in6&>(from);
    return end_of(AF_INET6, &wide.sin6_addr, wide.sin6_port);
  }
  return {};
}

struct Question {
  nlmsghdr head;
  inet_diag_req_v2 body;
};

Question question_of(const End& peer, const End& local) {
  Question question{};
  question.head.nlmsg_len = sizeof question;
  question.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.head.nlmsg_flags = NLM_F_REQUEST;
  question.head.nlmsg_seq = kSequence;
  auto& body = question.body;
  body.sdiag_family = peer.family;
  body.sdiag_protocol = IPPROTO_TCP;
  body.idiag_states = ~0U;
  body.id.idiag_sport = peer.port;  // the peer's own socket: its source is what we call the peer
  body.id.idiag_dport = local.port;
  std::memcpy(body.id.idiag_src, peer.address.data(), sizeof body.id.idiag_src);
  std::memcpy(body.id.idiag_dst, local.address.data(), sizeof body.id.idiag_dst);
  body.id.idiag_cookie[0] = body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return question;
}

// Of a socket that its process has closed (FIN_WAIT, TIME_WAIT), and of a listening one found in its place, the kernel
// says uid 0: whoever sends a request and closes at once would be taken for root. Such have no inode, or another end.
Result<Peer> owner_of(const inet_diag_msg& found, const End& peer, const End& local) {
  const bool same = end_of(found.idiag_family, found.id.idiag_src, found.id.idiag_sport) == peer &&
                    end_of(found.idiag_family, found.id.idiag_dst, found.id.idiag_dport) == local;
  if (!same || found.idiag_inode == 0) return Error{Code::not_found, "no process holds the peer's socket any more"};
  return Peer{static_cast<uid_t>(found.idiag_uid), found.idiag_inode};
}

Result<Peer> ask_kernel(const End& peer, const End& local) {
  const auto question = question_of(peer, local);
  UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return errno_error(errno, "open NETLINK_SOCK_DIAG");
  ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(netlink.get(), &question, sizeof question, 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) != sizeof question)
    return errno_error(errno, "ask NETLINK_SOCK_DIAG");
  alignas(nlmsghdr) std::array<char, 4096> answer{};
  sockaddr_nl from{};
  socklen_t from_size = sizeof from;
  const auto got =
      ::recvfrom(netlink.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
  if (got < 0) return errno_error(errno, "hear NETLINK_SOCK_DIAG");
  nlmsghdr head{};
  if (from.nl_pid != 0 || static_cast<std::size_t>(got) < sizeof head)
    return Error{Code::internal, "no answer of the kernel"};
  std::memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_seq != kSequence || head.nlmsg_len > static_cast<std::size_t>(got))
    return Error{Code::internal, "no answer to this question"};
  if (head.nlmsg_type == NLMSG_ERROR && head.nlmsg_len >= NLMSG_LENGTH(sizeof(nlmsgerr))) {
    nlmsgerr failed{};
    std::memcpy(&failed, answer.data() + NLMSG_HDRLEN, sizeof failed);
    if (failed.error == -ENOENT) return Error{Code::not_found, "the peer's socket is gone"};
    return errno_error(-failed.error, "look the peer's socket up");
  }
  if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || head.nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
    return Error{Code::internal, "the kernel's answer is not understood"};
  inet_diag_msg found{};
  std::memcpy(&found, answer.data() + NLMSG_HDRLEN, sizeof found);
  return owner_of(found, peer, local);
}

}  // namespace

Result<Peer> peer_of(int fd) {
  sockaddr_storage theirs{}, ours{};
  socklen_t size = sizeof theirs;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&theirs), &size) != 0)
    return errno_error(errno, "the peer's address");
  size = sizeof ours;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&ours), &size) != 0) return errno_error(errno, "our address");
  const End peer = end_of(theirs), local = end_of(ours);
  if (!peer.is_loopback()) return Error{Code::permission_denied, "the peer is not on this machine's loopback"};
  return ask_kernel(peer, local);
}

bool is_our_socket(std::uint32_t inode) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failed)) {
    std::error_code gone;  // a descriptor may be closed meanwhile
    if (std::filesystem::read_symlink(entry.path(), gone) == wanted) return true;
  }
  return failed.operator bool();  // what can't be known is not trusted
}

}  // namespace flynn::host
