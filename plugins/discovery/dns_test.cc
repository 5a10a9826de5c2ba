#include "dns_client_test.h"
#include "dns_server.h"

namespace flynn::discovery {
namespace {

ServiceView view(const std::string& service) {
  ServiceView view;
  view.known = service == "postgres" || service == "many" || service == "six" || service == "idle";
  const auto add = [&](const std::string& id, const std::string& addr, const std::string& proto = "tcp") {
    view.instances.push_back({service, id, addr, proto, {}, "", static_cast<std::int64_t>(view.instances.size() + 1)});
  };
  if (service == "postgres") {
    add("a", "10.0.0.2:5432");
    add("b", "10.0.0.3:5433", "http");
    view.leader = "a";
  }
  if (service == "six") add("v6", "[fd00::1]:80");
  for (int i = 0; i < 100 && service == "many"; ++i)
    add("i" + std::to_string(i), "10.0.1." + std::to_string(i) + ":80");
  return view;
}

// By TCP: a length before each message.
std::string ask_by_tcp(int port, const std::string& message) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return {};
  std::string framed;
  put_u16(framed, static_cast<unsigned>(message.size()));
  framed += message;
  // In two pieces: a message need not arrive whole.
  ::send(fd.get(), framed.data(), 5, MSG_NOSIGNAL);
  ::send(fd.get(), framed.data() + 5, framed.size() - 5, MSG_NOSIGNAL);
  std::string got(2, 0);
  if (::recv(fd.get(), got.data(), 2, MSG_WAITALL) != 2) return {};
  std::string body(
      static_cast<std::size_t>(static_cast<unsigned char>(got[0]) << 8 | static_cast<unsigned char>(got[1])), 0);
  return ::recv(fd.get(), body.data(), body.size(), MSG_WAITALL) == static_cast<ssize_t>(body.size()) ? body : "";
}

bool is_truncated(const std::string& answer) { return (answer.at(2) & 0x02) != 0; }

class DnsServerTest : public testing::Test {
 protected:
  // A number that is free for UDP may be somebody's by TCP, of which the server would say nothing.
  void SetUp() override {
    for (int tries = 0; tries < 100; ++tries) {
      server_.emplace(DnsServerOptions{"127.0.0.1", hold_tcp_port(), {}, std::chrono::milliseconds(100)},
                      [](const std::string& service) { return view(service); });
      if (server_->start()) return;
    }
    FAIL() << "no port is free for both";
  }

  /// One that DnsTcp, which shares its port, can have all the same.
  int hold_tcp_port() {
    held_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(held_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(held_.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(held_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::getsockname(held_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

  UniqueFd held_;
  std::optional<DnsServer> server_;
};

TEST_F(DnsServerTest, AnswersAServiceWithEveryInstance) {
  const auto answer = ask(server_->port(), query_for("Postgres.discoverd"));

  EXPECT_EQ(code_of(answer), 0);
  EXPECT_EQ(answers_in(answer), 2);
  EXPECT_EQ(answer.substr(0, 2), std::string("\x12\x34", 2));
  EXPECT_NE(answer.find(std::string("\x0a\x00\x00\x02", 4)), std::string::npos);
  EXPECT_NE(answer.find(std::string("\x0a\x00\x00\x03", 4)), std::string::npos);
}

TEST_F(DnsServerTest, AnswersALeaderWithItsAddressAlone) {
  EXPECT_EQ(answers_in(ask(server_->port(), query_for("leader.postgres.discoverd"))), 1);
}

TEST_F(DnsServerTest, HasNoIpv6ButDoesNotDenyTheName) {
  const auto answer = ask(server_->port(), query_for("postgres.discoverd", 28));

  EXPECT_EQ(code_of(answer), 0);
  EXPECT_EQ(answers_in(answer), 0);
}

TEST_F(DnsServerTest, AnswersIpv6ForTheSame) {
  const auto answer = ask(server_->port(), query_for("six.discoverd", kTypeAaaa));

  EXPECT_EQ(answers_in(answer), 1);
  EXPECT_EQ(answer.substr(answer.size() - 16), std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16));
}

TEST_F(DnsServerTest, TellsPortsBySrvAndTheAddressesBeside) {
  const auto answer = ask(server_->port(), query_for("postgres.discoverd", kTypeSrv));

  EXPECT_EQ(answers_in(answer), 2);
  EXPECT_NE(answer.find(std::string("\x00\x01\x00\x01\x15\x38", 6)), std::string::npos) << "priority, weight, 5432";
  EXPECT_NE(answer.find(encode_name("a.postgres._i.discoverd")), std::string::npos);
  EXPECT_EQ(answer[11], 2) << "additional records";
  EXPECT_EQ(answers_in(ask(server_->port(), query_for("a.postgres._i.discoverd"))), 1) << "the target has an address";
  EXPECT_EQ(answers_in(ask(server_->port(), query_for("_postgres._http.discoverd", kTypeSrv))), 1) << "by proto";
}

TEST_F(DnsServerTest, SaysWhenUdpIsTooSmallAndTcpHasItAll) {
  const auto small = ask(server_->port(), query_for("many.discoverd"));
  EXPECT_TRUE(is_truncated(small));
  EXPECT_LE(small.size(), 512u);

  const auto whole = ask_by_tcp(server_->port(), query_for("many.discoverd"));
  ASSERT_FALSE(whole.empty());
  EXPECT_FALSE(is_truncated(whole));
  EXPECT_EQ(answers_in(whole), 100);
}

TEST_F(DnsServerTest, GivesMoreToWhoCanTakeMore) {
  auto query = query_for("many.discoverd");
  query[11] = 1;
  query += std::string("\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);  // OPT: 1232 bytes

  const auto answer = ask(server_->port(), query);

  EXPECT_GT(answer.size(), 512u);
  EXPECT_LE(answer.size(), 1232u);
}

TEST_F(DnsServerTest, AnEmptyServiceIsKnownAndEmpty) {
  const auto answer = ask(server_->port(), query_for("idle.discoverd"));

  EXPECT_EQ(code_of(answer), 0);
  EXPECT_EQ(answers_in(answer), 0);
  EXPECT_EQ(answer[9], 1) << "the SOA says for how long";
  EXPECT_EQ(code_of(ask(server_->port(), query_for("leader.idle.discoverd"))), static_cast<int>(DnsCode::no_such_name));
}

TEST_F(DnsServerTest, DeniesANameThatIsNoService) {
  for (const char* name : {"nobody.discoverd", "a.b.discoverd", "discoverd", "_postgres.discoverd"})
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

TEST(ZoneName, KnowsServicesLeadersProtosAndInstances) {
  EXPECT_EQ(zone_name("web.discoverd").service, "web");
  EXPECT_TRUE(zone_name("leader.web.discoverd").leader);
  EXPECT_EQ(zone_name("_web._tcp.discoverd").proto, "tcp");
  EXPECT_EQ(zone_name("id1.web._i.discoverd").id, "id1");
  EXPECT_TRUE(zone_name("xdiscoverd").service.empty());
}

}  // namespace
}  // namespace flynn::discovery
