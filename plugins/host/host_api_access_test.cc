// Who may speak to the host's API, by real sockets of real users.
#include <grp.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "api_access.h"
#include "api_node_test.h"
#include "peer_uid.h"

namespace flynn::host {
namespace {

constexpr uid_t kNobody = 65534;

std::string basic(const std::string& credentials) {
  std::string encoded((credentials.size() + 2) / 3 * 4 + 1, '\0');
  const int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                     reinterpret_cast<const unsigned char*>(credentials.data()),
                                     static_cast<int>(credentials.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return "Authorization: Basic " + encoded + "\r\n";
}

class HostApiAccess : public HostApiNode {
 protected:
  // As another user, in a process of its own. Only async-signal-safe calls in the child: we have threads.
  std::string ask_as(uid_t uid, const std::string& request) {
    const auto address = ApiClient::address_of(port_);
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    UniqueFd reader(ends[0]), writer(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0)
        ::_exit(1);
      const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(2);
      if (::write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) ::_exit(3);
      char chunk[4096];
      for (ssize_t got = 0; (got = ::read(fd, chunk, sizeof chunk)) > 0;)
        if (::write(ends[1], chunk, static_cast<std::size_t>(got)) != got) ::_exit(4);
      ::_exit(0);
    }
    writer.reset();
    std::string seen;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::read(reader.get(), chunk, sizeof chunk)) > 0;)
      seen.append(chunk, static_cast<std::size_t>(got));
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return seen;
  }
};

TEST_F(HostApiAccess, AdmitsOurOwnUserOnLoopbackAndNoBrowser) {
  EXPECT_EQ(ask("GET /host/status").status, 200);
  for (const auto& headers :
       {std::string("Origin: http://evil.example\r\n"), "Origin: null\r\n" + basic(":" + std::string(kKey))})
    for (const char* what : {"GET /host/status", "DELETE /host/jobs/x", "POST /attach"})
      EXPECT_EQ(ask(what, {}, headers).status, 403) << what;
}

TEST_F(HostApiAccess, AsksAnotherUserForAKey) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";

  const auto without = answer_of(ask_as(kNobody, request_text("GET /host/status")));
  EXPECT_EQ(without.status, 401);
  EXPECT_EQ(without.body, "");
  EXPECT_EQ(answer_of(ask_as(kNobody, request_text("DELETE /host/jobs/x"))).status, 401);
  for (const std::string& wrong :
       {std::string("u:"), std::string("u:wrong"), std::string(kKey), ":" + std::string(kKey) + "x"})
    EXPECT_EQ(answer_of(ask_as(kNobody, request_text("GET /host/status", {}, basic(wrong)))).status, 401) << wrong;
  EXPECT_EQ(answer_of(ask_as(kNobody, request_text("GET /host/status", {}, basic("u:" + std::string(kKey))))).status,
            200);
}

TEST(ApiAccess, TakesNoEmptyKeyAndNoBrokenCredentials) {
  const std::vector<std::string> keys{"", kKey};
  EXPECT_TRUE(has_key(basic(":" + std::string(kKey)).substr(15, basic(":" + std::string(kKey)).size() - 17), keys));
  for (const char* bad : {"", "Basic ", "Basic Og==", "Basic !!!!", "Bearer x", "Basic OmE"})
    EXPECT_FALSE(has_key(bad, keys)) << bad;
  http::HttpRequest through_the_door;
  EXPECT_EQ(admit(through_the_door, keys), Admission::stranger) << "no connection, no user";
}

struct Pair {
  UniqueFd client, server;
};

Pair connected(int family, const sockaddr* any, socklen_t size) {
  Pair pair;
  UniqueFd listening(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(listening.get(), any, size) != 0 || ::listen(listening.get(), 1) != 0) return pair;
  sockaddr_storage address{};
  socklen_t address_size = sizeof address;
  ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &address_size);
  pair.client.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(pair.client.get(), reinterpret_cast<sockaddr*>(&address), address_size), 0);
  pair.server.reset(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return pair;
}

TEST(PeerUid, IsTheUserWhoHoldsTheOtherEnd) {
  const auto narrow = ApiClient::address_of(0);
  auto pair = connected(AF_INET, reinterpret_cast<const sockaddr*>(&narrow), sizeof narrow);
  ASSERT_TRUE(pair.server);

  auto uid = peer_of(pair.server.get());
  ASSERT_TRUE(uid) << uid.error().message;
  EXPECT_EQ(uid->uid, ::geteuid());
  if (::geteuid() != 0) return;
  ASSERT_EQ(::fchown(pair.client.get(), kNobody, kNobody), 0);
  EXPECT_EQ(peer_of(pair.server.get())->uid, kNobody) << "it is asked of the socket, each time";
}

TEST(ApiAccess, TrustsNobodyWhoSpeaksThroughOurOwnProcessOrByAName) {
  const auto narrow = ApiClient::address_of(0);
  auto pair = connected(AF_INET, reinterpret_cast<const sockaddr*>(&narrow), sizeof narrow);
  ASSERT_TRUE(pair.server);
  http::HttpRequest request;
  request.connection = pair.server.get();
  request.host = "127.0.0.1:1113";

  EXPECT_EQ(admit(request, {}), Admission::stranger) << "as a router in this process would";
  EXPECT_EQ(admit(request, {}, true), Admission::admitted);
  for (const char* own : {"", "localhost", "localhost:1113", "10.99.0.1", "[::1]:1113"}) {
    request.host = own;
    EXPECT_EQ(admit(request, {}, true), Admission::admitted) << own;
  }
  for (const char* name : {"evil.example:1113", "localhost.evil.example", "127.0.0.1.evil.example", "[::1"}) {
    request.host = name;
    EXPECT_EQ(admit(request, {}, true), Admission::stranger) << name;
  }
}

TEST(PeerUid, KnowsTheOtherFamilyToo) {
  sockaddr_in6 wide{};
  wide.sin6_family = AF_INET6;
  wide.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  auto pair = connected(AF_INET6, reinterpret_cast<const sockaddr*>(&wide), sizeof wide);
  if (!pair.server) GTEST_SKIP() << "this machine has no IPv6 loopback";
  const auto uid = peer_of(pair.server.get());
  ASSERT_TRUE(uid) << uid.error().message;
  EXPECT_EQ(uid->uid, ::geteuid());

  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:127.0.0.1", &wide.sin6_addr), 1);
  auto mapped = connected(AF_INET6, reinterpret_cast<const sockaddr*>(&wide), sizeof wide);
  ASSERT_TRUE(mapped.server);
  const auto narrow = peer_of(mapped.server.get());
  ASSERT_TRUE(narrow) << narrow.error().message;
  EXPECT_EQ(narrow->uid, ::geteuid());
}

TEST(PeerUid, TrustsNobodyWhoHasClosedTheSocket) {
  const auto narrow = ApiClient::address_of(0);
  auto pair = connected(AF_INET, reinterpret_cast<const sockaddr*>(&narrow), sizeof narrow);
  ASSERT_TRUE(pair.server);
  ASSERT_EQ(::send(pair.client.get(), "x", 1, 0), 1);

  pair.client.reset();

  EXPECT_FALSE(peer_of(pair.server.get())) << "the kernel says uid 0 of such";
}

TEST(PeerUid, IsNotAskedOfUnixSocketsOrOtherMachines) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  UniqueFd one(ends[0]), other(ends[1]);
  EXPECT_EQ(peer_of(one.get()).error().code, Code::permission_denied);
  EXPECT_FALSE(peer_of(-1));
}

}  // namespace
}  // namespace flynn::host
