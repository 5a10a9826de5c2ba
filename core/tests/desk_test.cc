// What the keeper takes from a host beside entries of the audit log: listening sockets, and no nonsense.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "audit_desk.h"
#include "desk_message.h"
#include "listeners.h"
#include "listening_socket.h"
#include "port_client.h"

namespace flynn::core {
namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

class Desk : public testing::Test {
 protected:
  Desk() : desk_("/nowhere/audit.ndjson", "node1"), port_(free_ports(1)) {
    desk_.give_listeners_to(
        [this](const std::string& name, UniqueFd socket) { return keeper_.keep(name, std::move(socket)); });
    host_ = std::move(*desk_.connect());
    socket_ = std::move(*bind_and_listen("test", "127.0.0.1:" + std::to_string(port_), "wait"));
  }
  void send(const std::string& text, const std::vector<int>& fds) const {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    ASSERT_EQ(::sendmsg(host_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  std::string name() const { return "range:" + std::to_string(port_); }

  AuditDesk desk_;
  Listeners keeper_ = *Listeners::open({});
  UniqueFd host_;
  int port_;
  UniqueFd socket_;
};

TEST_F(Desk, KeepsAListenerThatTheHostHandsOver) {
  ASSERT_TRUE(send_listener(host_.get(), name(), socket_.get()).ok());

  EXPECT_TRUE(desk_.serve());

  EXPECT_EQ(keeper_.environment_text().substr(0, name().size() + 1), name() + "=");
  socket_.reset();
  EXPECT_TRUE(connect_to(port_)) << "the keeper's duplicate listens";
  char answer = 0;
  EXPECT_EQ(::recv(host_.get(), &answer, 1, MSG_DONTWAIT), -1) << "nobody waits for an answer";
}

TEST_F(Desk, TakesWhatAHostSentBeforeItDied) {
  ASSERT_TRUE(send_listener(host_.get(), name(), socket_.get()).ok());
  socket_.reset();
  host_.reset();

  EXPECT_FALSE(desk_.serve());

  EXPECT_TRUE(connect_to(port_));
}

TEST_F(Desk, ClosesWhatItDoesNotKeep) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd local(pair[0]), peer(pair[1]), file(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto ours = R"({"listener":")" + name() + "\"}";
  const auto before = open_descriptors();

  for (const int wrong : {local.get(), file.get(), datagrams.get(), host_.get()}) send(ours, {wrong});
  send(ours, {socket_.get(), socket_.get()});
  send(ours, std::vector<int>(64, socket_.get()));
  for (const auto* text :
       {"{\"listener\":\"range\"}", "{\"listener\":\"range:1\"}", "{\"listener\":\"a=1,b:80\"}", "{\"listener\":7}",
        "{\"listener\":\"\"}", "{\"listener\":\"range:0080\"}", "{\"entry\":7}", "{}", "nonsense", "\xff\xfe"})
    send(text, {socket_.get()});
  send(R"({"listener":")" + std::string(65, 'x') + ":" + std::to_string(port_) + "\"}", {socket_.get()});
  ASSERT_EQ(::send(host_.get(), ours.data(), ours.size(), 0), static_cast<ssize_t>(ours.size())) << "without a socket";

  EXPECT_TRUE(desk_.serve());
  EXPECT_EQ(keeper_.environment_text(), "");
  EXPECT_EQ(open_descriptors(), before);
  ASSERT_TRUE(send_listener(host_.get(), name(), socket_.get()).ok());
  EXPECT_TRUE(desk_.serve());
  EXPECT_EQ(keeper_.environment_text().substr(0, 6), "range:") << "it still takes what is right";
}

TEST_F(Desk, KeepsTheFirstOfAName) {
  ASSERT_TRUE(send_listener(host_.get(), name(), socket_.get()).ok());
  EXPECT_TRUE(desk_.serve());
  const auto text = keeper_.environment_text();
  const auto before = open_descriptors();

  ASSERT_TRUE(send_listener(host_.get(), name(), socket_.get()).ok());
  EXPECT_TRUE(desk_.serve());

  EXPECT_EQ(keeper_.environment_text(), text);
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Desk, KeepsAtMostAsManyAsARangeMayHave) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < 2 * kRangePortsMax) GTEST_SKIP() << "this user may not open so many descriptors";
  files.rlim_cur = std::max<rlim_t>(files.rlim_cur, 2 * kRangePortsMax);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  const auto port = ":" + std::to_string(port_);
  for (int i = 0; i < kRangePortsMax; ++i)
    ASSERT_TRUE(keeper_.keep("range" + std::to_string(i) + port, UniqueFd(::dup(socket_.get()))).ok()) << i;

  const auto more = keeper_.keep("more" + port, UniqueFd(::dup(socket_.get())));

  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, Code::resource_exhausted);
}

}  // namespace
}  // namespace flynn::core
