#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>

#include "dns_server.h"

namespace flynn::discovery {
namespace {

// A query for `name`, as a client sends it.
std::string query_for(const std::string& name, std::uint16_t type = kTypeA, std::uint16_t id = 0x1234) {
  std::string out{static_cast<char>(id >> 8), static_cast<char>(id & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  std::size_t at = 0;
  while (at <= name.size()) {
    const auto dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at);
    out += name.substr(at, dot - at);
    at = dot + 1;
  }
  out += std::string{0, 0, static_cast<char>(type), 0, 1};
  return out;
}

// Sends to 127.0.0.1:port and gives the answer, empty when none comes.
std::string ask(int port, const std::string& message) {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::sendto(fd.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  std::array<char, 4096> bytes{};
  const auto got = ::recv(fd.get(), bytes.data(), bytes.size(), 0);
  return got <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(got));
}

int code_of(const std::string& answer) { return answer.size() < 4 ? -1 : answer[3] & 15; }
int answers_in(const std::string& answer) { return answer.size() < 8 ? -1 : answer[7]; }

class DnsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.emplace(DnsServerOptions{"127.0.0.1", 0, {}, std::chrono::milliseconds(100)},
                    [](const ServiceName& name) -> std::optional<std::vector<Ipv4>> {
                      if (name.service != "postgres") return std::nullopt;
                      if (name.leader) return std::vector<Ipv4>{{10, 0, 0, 2}};
                      return std::vector<Ipv4>{{10, 0, 0, 2}, {10, 0, 0, 3}};
                    });
    ASSERT_TRUE(server_->start().ok());
  }

  std::optional<DnsServer> server_;
};

TEST_F(DnsServerTest, AnswersAServiceWithEveryInstance) {
  const auto answer = ask(server_->port(), query_for("Postgres.discoverd"));

  EXPECT_EQ(code_of(answer), 0);
  EXPECT_EQ(answers_in(answer), 2);
  EXPECT_EQ(answer.substr(0, 2), std::string("\x12\x34", 2));
  EXPECT_EQ(answer.substr(answer.size() - 4), std::string("\x0a\x00\x00\x03", 4));
}

TEST_F(DnsServerTest, AnswersALeaderWithItsAddressAlone) {
  EXPECT_EQ(answers_in(ask(server_->port(), query_for("leader.postgres.discoverd"))), 1);
}

TEST_F(DnsServerTest, HasNoIpv6ButDoesNotDenyTheName) {
  const auto answer = ask(server_->port(), query_for("postgres.discoverd", 28));

  EXPECT_EQ(code_of(answer), 0);
  EXPECT_EQ(answers_in(answer), 0);
}

TEST_F(DnsServerTest, DeniesANameThatIsNoService) {
  for (const char* name : {"nobody.discoverd", "a.b.discoverd", "discoverd"})
    EXPECT_EQ(code_of(ask(server_->port(), query_for(name))), static_cast<int>(DnsCode::no_such_name)) << name;
}

TEST_F(DnsServerTest, FailsOtherNamesWhenThereIsNoUpstream) {
  EXPECT_EQ(code_of(ask(server_->port(), query_for("example.com"))), static_cast<int>(DnsCode::server_failure));
}

TEST_F(DnsServerTest, StopsAndStartsAgain) {
  server_->stop();

  EXPECT_TRUE(server_->start().ok());
  EXPECT_EQ(answers_in(ask(server_->port(), query_for("leader.postgres.discoverd"))), 1);
}

TEST(DnsQuery, RefusesWhatIsNotOneQuestion) {
  const std::string good = query_for("web.discoverd");
  ASSERT_TRUE(parse_dns_query(good).ok());

  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_dns_query(good.substr(0, size)).ok()) << size;
  std::string answer = good, compressed = good, two = good;
  answer[2] = static_cast<char>(0x80);
  compressed[12] = static_cast<char>(0xc0);
  two[5] = 2;
  for (const auto& message : {answer, compressed, two}) EXPECT_FALSE(parse_dns_query(message).ok());
}

TEST(ResolvConf, GivesItsIpv4NameServers) {
  EXPECT_EQ(resolvers_of("# x\nsearch lan\nnameserver 192.0.2.1\nnameserver ::1\nnameserver  192.0.2.2 \n"),
            (std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
}

TEST(ServiceOfName, KnowsServicesAndLeaders) {
  EXPECT_EQ(service_of_name("web.discoverd").service, "web");
  EXPECT_TRUE(service_of_name("leader.web.discoverd").leader);
  EXPECT_TRUE(service_of_name("xdiscoverd").service.empty());
}

}  // namespace
}  // namespace flynn::discovery
