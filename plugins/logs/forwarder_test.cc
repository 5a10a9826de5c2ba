#include <csignal>

#include "forwarder_world_test.h"

namespace flynn::logs {
namespace {

TEST_F(ForwarderTest, SendsWhatComesAfterTheSinkWasMade) {
  append(app_, "before");
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();

  append(app_, "hello");
  EXPECT_EQ(peer.next(), "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - hello");
  append(app_, "oops", "stderr");
  EXPECT_EQ(peer.next(), "<11>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - oops");

  const auto later = new_uuid();
  write_app(later, "later");
  append(later, "first line of a log made later");
  EXPECT_EQ(peer.next(), "<14>1 2026-01-31T12:00:00.100020Z h1 later web.h1-j1 app - first line of a log made later");

  wait_until_saved();
  const auto status = status_of(sink_);
  EXPECT_TRUE(bool_or(status, "connected"));
  EXPECT_FALSE(status.contains("error"));
  EXPECT_EQ(log_.count("sink_unreachable"), 0u);
}

TEST_F(ForwarderTest, FindsAServerByItsNameAndSendsLines) {
  write_sink(sink_, {{"url", server_.at("localhost")}, {"format", "newline"}, {"template", "[x]"}, {"use_ids", true}});
  auto peer = server_.accept();

  append(app_, "one\ntwo");

  EXPECT_EQ(peer.next_line(), "<14>1 2026-01-31T12:00:00.100020Z h1 " + app_ + " web.h1-j1 app - [x] one two\n");
}

TEST_F(ForwarderTest, ANameThatNobodyKnowsIsTold) {
  write_sink(sink_, {{"url", "syslog://nobody.invalid"}});

  EXPECT_EQ(string_or(log_.wait_for("sink_unreachable"), "error"), "look up nobody.invalid: Domain name not found");
}

TEST_F(ForwarderTest, LosesNothingWhileTheServerIsAway) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  {
    auto peer = server_.accept();
    append(app_, "one");
    EXPECT_EQ(peer.next_text(), "one");
    wait_until_saved();
    server_.close();
  }
  EXPECT_EQ(string_or(log_.wait_for("sink_unreachable"), "server"), server_.at("127.0.0.1").substr(9));
  append(app_, "two");
  append(app_, "three");
  const auto away = status_of(sink_);
  EXPECT_FALSE(bool_or(away, "connected", true));
  EXPECT_GT(int_or(away, "behind_bytes"), 0);
  EXPECT_NE(string_or(away, "error"), "");

  server_.listen();

  auto peer = server_.accept();
  EXPECT_EQ(peer.next_text(), "two");
  EXPECT_EQ(peer.next_text(), "three");
  EXPECT_FALSE(log_.wait_for("sink_reached").empty());
  EXPECT_EQ(log_.count("sink_unreachable"), 1u);
  wait_until_saved();
  EXPECT_EQ(int_or(status_of(sink_), "behind_bytes", -1), 0);
}

TEST_F(ForwarderTest, ManyMessagesComeOnceAndInOrder) {
  constexpr int kMessages = 10'000;
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();

  for (int i = 0; i < kMessages; ++i) append(app_, std::to_string(i) + std::string(600, '.'));

  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(std::atoi(peer.next_text().c_str()), i);
  wait_until_saved();
}

TEST_F(ForwarderTest, AStopDoesNotWaitForAServerThatDoesNotRead) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();
  for (int i = 0; i < 15'000; ++i) append(app_, std::string(1000, '.'));
  EXPECT_TRUE(peer.hears());

  stop();

  EXPECT_EQ(log_.count("sink_unreachable"), 0u) << "it waited until its deadline passed";
}

TEST_F(ForwarderTest, GoesOnWhereItWasAfterARestart) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  {
    auto peer = server_.accept();
    append(app_, "one");
    EXPECT_EQ(peer.next_text(), "one");
    wait_until_saved();
    stop();
    EXPECT_TRUE(peer.ends());
  }

  start();
  append(app_, "two");
  auto peer = server_.accept();
  EXPECT_EQ(peer.next_text(), "two");
}

TEST_F(ForwarderTest, AnotherConfigurationGoesOnAtTheSamePosition) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();
  append(app_, "one");
  EXPECT_EQ(peer.next_text(), "one");
  wait_until_saved();

  write_sink(sink_, {{"url", server_.at("127.0.0.1")}, {"template", "new"}});
  EXPECT_TRUE(peer.ends());
  append(app_, "two");
  EXPECT_EQ(server_.accept().next_text(), "new two");
}

TEST_F(ForwarderTest, ADeletedSinkEndsItsConnectionAndLeavesNothing) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();
  append(app_, "one");
  EXPECT_EQ(peer.next_text(), "one");
  wait_until_saved();

  ASSERT_TRUE(store_.erase("sinks/" + sink_).ok());

  EXPECT_TRUE(peer.ends());
  wait_until([this] { return fs::is_empty(folder()); });
  EXPECT_TRUE(forwarder_->status().empty());
}

TEST_F(ForwarderTest, ASinkDeletedWhileAwayLeavesNothing) {
  stop();
  std::ofstream(file()) << "{}";

  start();

  wait_until([this] { return fs::is_empty(folder()); });
}

TEST_F(ForwarderTest, TellsWhatTheLogDroppedMeanwhile) {
  stop();
  limits_ = {4096, 16384};
  start();
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  {
    auto peer = server_.accept();
    append(app_, "first");
    EXPECT_EQ(peer.next_text(), "first");
    wait_until_saved();
    server_.close();
  }
  EXPECT_FALSE(log_.wait_for("sink_unreachable").empty());
  const auto sent = end_of_log();
  for (int i = 0; i < 40; ++i) append(app_, std::to_string(i) + std::string(1000, '.'));
  const auto dropped = (*logs_->log_of(app_))->begin() - sent;

  server_.listen();

  auto peer = server_.accept();
  EXPECT_EQ(peer.next_text(), std::to_string(dropped) + " bytes of log were dropped while this sink was away");
  int number = std::atoi(peer.next_text().c_str());
  EXPECT_GT(number, 0);
  while (++number < 40) EXPECT_EQ(std::atoi(peer.next_text().c_str()), number);
}

TEST_F(ForwarderTest, AReplacedLogIsSentFromItsBeginning) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();
  append(app_, "a long line of the log that is deleted");
  EXPECT_EQ(peer.next_text(), "a long line of the log that is deleted");

  logs_->erase(app_);
  append(app_, "new");

  EXPECT_EQ(peer.next_text(), "new");
}

TEST_F(ForwarderTest, OthersThanSyslogAreIgnoredAndBadOnesTold) {
  const auto bad = new_uuid();
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}}, "logaggregator");
  write_sink(bad, {{"url", "udp://127.0.0.1"}});

  EXPECT_EQ(string_or(log_.wait_for("sink_refused"), "sink"), bad);
  EXPECT_NE(string_or(status_of(bad), "error").find("no such scheme"), std::string::npos);
  EXPECT_EQ(forwarder_->status().size(), 1u);
}

TEST_F(ForwarderTest, TheSeventeenthSinkWaitsForAPlace) {
  std::vector<std::string> ids;
  std::vector<SyslogPeer> peers;
  for (unsigned i = 0; i < kSinksMax; ++i) {
    ids.push_back(new_uuid());
    write_sink(ids.back(), {{"url", server_.at("127.0.0.1")}});
    peers.push_back(server_.accept());
  }
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  EXPECT_EQ(string_or(log_.wait_for("sink_waits"), "sink"), sink_);
  EXPECT_NE(string_or(status_of(sink_), "error").find("16 sinks are the limit"), std::string::npos);

  ASSERT_TRUE(store_.erase("sinks/" + ids.front()).ok());

  auto peer = server_.accept();
  append(app_, "to the last");
  EXPECT_EQ(peer.next_text(), "to the last");
}

class TlsForwarderTest : public ForwarderTest {
 protected:
  // OpenSSL's server half writes to a client that has gone.
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    certificate_.write_to((door_.folder() / "ca.pem").string());
    ForwarderTest::SetUp();
  }
  void TearDown() override {
    ForwarderTest::TearDown();
    ::unsetenv("SSL_CERT_FILE");
  }
  void trust_the_certificate() { ::setenv("SSL_CERT_FILE", (door_.folder() / "ca.pem").c_str(), 1); }
  std::string url(const std::string& host) const { return server_.at(host, "syslog+tls"); }
  // Of a sink that is not content and tries again, the connections before are passed over.
  SyslogPeer accept_content() {
    for (int i = 0; i < 10; ++i)
      if (auto peer = server_.accept(); peer.shake_hands(certificate_.context())) return peer;
    ADD_FAILURE() << "no handshake is completed";
    return SyslogPeer(UniqueFd());
  }

  TestCertificate certificate_{"DNS:localhost"};
};

TEST_F(TlsForwarderTest, RefusesACertificateThatNobodyVouchesForUnlessInsecure) {
  write_sink(sink_, {{"url", url("localhost")}});
  EXPECT_FALSE(server_.accept().shake_hands(certificate_.context()));
  EXPECT_NE(string_or(log_.wait_for("sink_unreachable"), "error").find("self-signed certificate"), std::string::npos);
  append(app_, "secret");

  write_sink(sink_, {{"url", url("localhost")}, {"insecure", true}});

  EXPECT_EQ(accept_content().next_text(), "secret");
}

TEST_F(TlsForwarderTest, TrustsTheSystemsCertificatesForTheNameInThem) {
  trust_the_certificate();
  const auto by_address = new_uuid();
  write_sink(by_address, {{"url", url("127.0.0.1")}});
  EXPECT_FALSE(server_.accept().shake_hands(certificate_.context()));
  EXPECT_NE(string_or(log_.wait_for("sink_unreachable"), "error").find("IP address mismatch"), std::string::npos);
  ASSERT_TRUE(store_.erase("sinks/" + by_address).ok());

  write_sink(sink_, {{"url", url("localhost")}});
  auto peer = accept_content();
  append(app_, "one");
  append(app_, std::string(60'000, 'x'));

  EXPECT_EQ(peer.next_text(), "one");
  EXPECT_EQ(peer.next_text(), std::string(60'000, 'x'));
  ASSERT_TRUE(store_.erase("sinks/" + sink_).ok());
  EXPECT_TRUE(peer.ends()) << "with a goodbye, not cut";
}

TEST_F(TlsForwarderTest, AStopDoesNotWaitForAServerThatIsSilent) {
  write_sink(sink_, {{"url", url("localhost")}});
  auto peer = server_.accept();
  EXPECT_TRUE(peer.hears());

  stop();

  EXPECT_EQ(log_.count("sink_unreachable"), 0u) << "it waited until its deadline passed";
}

}  // namespace
}  // namespace flynn::logs
