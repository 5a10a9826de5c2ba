// Listening sockets of ranges of ports: what is lent by which name, to whom, and that it is the same socket each time.
#include "listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "port_client.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

constexpr int kPorts = 3;

ino_t inode_of(const UniqueFd& fd) {
  struct stat facts {};
  return ::fstat(fd.get(), &facts) == 0 ? facts.st_ino : 0;
}

std::string range_name(int port) { return "range:" + std::to_string(port); }

class ListenersOfARange : public testing::Test {
 protected:
  ListenersOfARange()
      : first_(free_ports(kPorts)),
        listeners_(*Listeners::open({{"range", loopback_range(first_, kPorts)}, {"one", "127.0.0.1:0"}})) {}
  Error refusal_of(const std::string& name) const {
    auto lent = listeners_.lend(name);
    return lent ? Error{Code::ok, "lent"} : lent.error();
  }

  int first_;
  Listeners listeners_;
};

TEST_F(ListenersOfARange, AreBoundOnlyWhenTheyAreLent) {
  EXPECT_FALSE(connect_to(first_)) << "nothing is bound at the start";

  const auto lent = listeners_.lend(range_name(first_));

  ASSERT_TRUE(lent.ok()) << lent.error().message;
  EXPECT_TRUE(connect_to(first_));
  EXPECT_FALSE(connect_to(first_ + 1));
  EXPECT_TRUE(listeners_.lend(range_name(first_ + kPorts - 1)).ok()) << "the last one belongs to it";
}

TEST_F(ListenersOfARange, AreTheSameSocketEachTime) {
  const auto first = listeners_.lend(range_name(first_));
  const auto second = listeners_.lend(range_name(first_));
  ASSERT_TRUE(first.ok() && second.ok());

  EXPECT_NE(first->get(), second->get());
  EXPECT_EQ(inode_of(*first), inode_of(*second));
}

TEST_F(ListenersOfARange, HaveTheFlagsOfTheFixedOnes) {
  const auto ranged = listeners_.lend(range_name(first_)), fixed = listeners_.lend("one");
  ASSERT_TRUE(ranged.ok() && fixed.ok());

  EXPECT_EQ(::fcntl(ranged->get(), F_GETFL), ::fcntl(fixed->get(), F_GETFL));
  EXPECT_EQ(::fcntl(ranged->get(), F_GETFD), FD_CLOEXEC);
  int reuse = 0;
  socklen_t size = sizeof reuse;
  ::getsockopt(ranged->get(), SOL_SOCKET, SO_REUSEADDR, &reuse, &size);
  EXPECT_EQ(reuse, 1);
}

TEST_F(ListenersOfARange, AreRefusedByOtherNamesWithWordsThatSayTheRange) {
  const auto ports = std::to_string(first_) + "-" + std::to_string(first_ + kPorts - 1);

  for (const auto& [name, code] :
       std::map<std::string, Code>{{range_name(first_ - 1), Code::not_found},
                                   {range_name(first_ + kPorts), Code::not_found},
                                   {"range", Code::invalid_argument},
                                   {"range:", Code::invalid_argument},
                                   {"range:http", Code::invalid_argument},
                                   {"range:0" + std::to_string(first_), Code::invalid_argument},
                                   {"range:+" + std::to_string(first_), Code::invalid_argument},
                                   {range_name(first_) + " ", Code::invalid_argument},
                                   {"range:-1", Code::invalid_argument},
                                   {"range:65536", Code::invalid_argument},
                                   {"range:99999999999999999999", Code::invalid_argument}}) {
    const auto refusal = refusal_of(name);
    EXPECT_EQ(refusal.code, code) << name;
    EXPECT_NE(refusal.message.find(ports), std::string::npos) << name << ": " << refusal.message;
  }
  EXPECT_EQ(refusal_of("other:" + std::to_string(first_)).code, Code::not_found);
  EXPECT_NE(refusal_of("one:" + std::to_string(first_)).message.find("one socket"), std::string::npos);
}

TEST_F(ListenersOfARange, NameTheHolderOfAPortThatIsInUse) {
  const auto other = Listeners::open({{"other", "127.0.0.1:" + std::to_string(first_)}});
  ASSERT_TRUE(other.ok()) << other.error().message;

  const auto refusal = refusal_of(range_name(first_));

  EXPECT_NE(refusal.message.find("127.0.0.1:" + std::to_string(first_)), std::string::npos) << refusal.message;
  EXPECT_NE(refusal.message.find("core_tests"), std::string::npos) << refusal.message;
  EXPECT_NE(refusal.message.find("another port of the range"), std::string::npos) << refusal.message;
  EXPECT_TRUE(listeners_.lend(range_name(first_ + 1)).ok()) << "the others are not concerned";
}

TEST_F(ListenersOfARange, ListenAgainWhenTheyAreLentAgain) {
  const auto lent = listeners_.lend(range_name(first_));
  ASSERT_TRUE(lent.ok());
  ASSERT_EQ(::shutdown(lent->get(), SHUT_RD), 0);
  ASSERT_FALSE(connect_to(first_)) << "shutdown(2) refuses clients";

  const auto again = listeners_.lend(range_name(first_));

  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(connect_to(first_));
  EXPECT_EQ(inode_of(*lent), inode_of(*again));
}

TEST_F(ListenersOfARange, NameWhoTookThePortWhileTheyDidNotListen) {
  const auto lent = listeners_.lend(range_name(first_));
  ASSERT_TRUE(lent.ok());
  ASSERT_EQ(::shutdown(lent->get(), SHUT_RD), 0);
  {
    const auto thief = Listeners::open({{"thief", "127.0.0.1:" + std::to_string(first_)}});
    ASSERT_TRUE(thief.ok()) << thief.error().message;
    EXPECT_NE(refusal_of(range_name(first_)).message.find("held by core_tests"), std::string::npos);
  }
  EXPECT_TRUE(listeners_.lend(range_name(first_)).ok());
}

TEST(Listeners, InheritedOfARangeThatIsGoneRefuseTheirClients) {
  const int first = free_ports(2);
  const auto before = Listeners::open({{"range", loopback_range(first, 2)}});
  ASSERT_TRUE(before.ok());
  const auto stays = before->lend(range_name(first)), goes = before->lend(range_name(first + 1));
  ASSERT_TRUE(stays.ok() && goes.ok());
  const auto inherited = [](const std::string& name, const UniqueFd& socket) {
    return name + "=" + std::to_string(::dup(socket.get()));
  };

  const auto after =
      Listeners::inherit(inherited(range_name(first), *stays) + "," + inherited(range_name(first + 1), *goes),
                         {{"range", loopback_range(first, 1)}});

  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_TRUE(connect_to(first)) << "it listens before it is lent";
  EXPECT_EQ(inode_of(*after->lend(range_name(first))), inode_of(*stays));
  EXPECT_FALSE(connect_to(first + 1));
  EXPECT_EQ(after->lend(range_name(first + 1)).error().code, Code::not_found);
}

TEST(Listeners, InheritedThatNobodyBorrowsRefuseTheirClientsAfterAWhile) {
  const int first = free_ports(2);
  const auto before = Listeners::open({{"range", loopback_range(first, 2)}});
  ASSERT_TRUE(before.ok());
  const auto wanted = before->lend(range_name(first)), unwanted = before->lend(range_name(first + 1));
  ASSERT_TRUE(wanted.ok() && unwanted.ok());
  const auto inherited = [](const std::string& name, const UniqueFd& socket) {
    return name + "=" + std::to_string(::dup(socket.get()));
  };
  const auto after =
      Listeners::inherit(inherited(range_name(first), *wanted) + "," + inherited(range_name(first + 1), *unwanted),
                         {{"range", loopback_range(first, 2)}});
  ASSERT_TRUE(after.ok() && after->lend(range_name(first)).ok());

  after->shut_unborrowed();

  EXPECT_TRUE(connect_to(first));
  EXPECT_FALSE(connect_to(first + 1));
  EXPECT_TRUE(after->lend(range_name(first + 1)).ok());
  EXPECT_TRUE(connect_to(first + 1)) << "a lend opens it again";
}

// A node with a borrower of the zoo, in this process or in a cage.
class RangeNode {
 public:
  explicit RangeNode(const char* animal, bool caged = false)
      : first(free_ports(kPorts)), zoo({{"cage", animal}}, [&](NodeConfig& config) {
          config.listeners["range"] = loopback_range(first, kPorts);
          config.core.lifecycle = config.core.healthy = std::chrono::seconds(5);
          if (caged) in_cages(config);
        }) {}
  Result<Reply> borrow(const std::string& name) { return zoo.call("Borrow", "test.borrower/1", {{"name", name}}); }
  json::object borrowed(int port) {
    auto reply = borrow(range_name(port));
    return reply ? reply->body : json::object{{"error", reply.error().message}};
  }
  int first;
  ZooNode zoo;
};

TEST(ListenersLent, NeedTheCapabilityOfTheirRange) {
  RangeNode node("borrower_bare");

  const auto refused = node.borrow(range_name(node.first));

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::permission_denied);
  EXPECT_NE(refused.error().message.find("may not borrow"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(connect_to(node.first)) << "nor is it bound";
  EXPECT_TRUE(node.borrow("zoo").ok());
}

TEST(ListenersLent, AreOneSocketForTheOldAndTheNewInstanceOfASwap) {
  RangeNode node("borrower");
  const auto before = node.borrowed(node.first);
  ASSERT_EQ(greeted_by(node.first), ::getpid()) << json::serialize(before);

  const auto swapped = node.zoo.swap("borrower_2");

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_EQ(int_or(node.borrowed(node.first), "inode"), int_or(before, "inode", -1));
  EXPECT_EQ(greeted_by(node.first), ::getpid());
}

TEST(ListenersLent, MayBeRefusedForATime) {
  RangeNode node("borrower");
  ASSERT_TRUE(node.borrow(range_name(node.first)).ok());
  ASSERT_TRUE(bool_or(node.zoo.call("Refuse", "test.borrower/1", {{"name", range_name(node.first)}})->body, "done"));
  ASSERT_EQ(greeted_by(node.first), -1);

  ASSERT_TRUE(node.borrow(range_name(node.first)).ok());

  EXPECT_EQ(greeted_by(node.first), ::getpid());
}

TEST(ListenersLent, ReachACagedPluginByTheSameCall) {
  RangeNode node("borrower", true);

  const auto lent = node.borrowed(node.first);

  EXPECT_NE(int_or(lent, "pid", ::getpid()), ::getpid()) << json::serialize(lent);
  EXPECT_EQ(greeted_by(node.first), int_or(lent, "pid"));
  EXPECT_EQ(node.borrow("range").error().code, Code::invalid_argument);
  EXPECT_EQ(node.borrow(range_name(node.first + kPorts)).error().code, Code::not_found);
}

}  // namespace
}  // namespace flynn::core
