#include "forwarder.h"

#include <gtest/gtest.h>
#include <sys/inotify.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "sink_peers_test.h"
#include "store_door_test.h"

namespace flynn::logs {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// The store, the logs and a syslog server; the test appends as the plugin does.
class ForwarderTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder());
    write_app(app_, "shop");
    start();
  }
  void TearDown() override { stop(); }

  void start() {
    logs_ = std::move(LogStore::open(door_.folder() / "logs", limits_)).value();
    forwarder_ = std::make_unique<Forwarder>(door_, log_, *logs_, folder().string());
    forwarder_->start();
  }
  void stop() {
    forwarder_.reset();
    logs_.reset();
  }

  void write_app(const std::string& id, const std::string& name) {
    ASSERT_TRUE(store_.put("apps/" + id, json::object{{"id", id}, {"name", name}}).ok());
  }
  void write_sink(const std::string& id, json::object config, const std::string& kind = "syslog") {
    ASSERT_TRUE(
        store_
            .put("sinks/" + id,
                 json::object{
                     {"v", 1}, {"id", id}, {"kind", kind}, {"host_managed", false}, {"config", std::move(config)}})
            .ok());
  }
  void append(const std::string& app_id, const std::string& msg, const std::string& stream = "stdout") {
    Message message{app_id, "app", stream, "web", "h1-j1", "h1", msg, 1'769'860'800'100'020};
    ASSERT_TRUE((*logs_->log_of(app_id))->append(line_of(message)).ok());
    forwarder_->wake();
  }
  std::uint64_t end_of_log() { return (*logs_->log_of(app_))->end(); }

  fs::path folder() const { return door_.folder() / "sinks"; }
  std::string file() const { return (folder() / (sink_ + ".json")).string(); }

  // Looks again after each change in the folder of positions.
  void wait_until(const std::function<bool()>& holds) {
    const UniqueFd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(changes.get(), folder().c_str(), IN_MOVED_TO | IN_DELETE), 0);
    const auto deadline = Deadline::after(20s);
    while (!holds()) {
      pollfd entry{changes.get(), POLLIN, 0};
      ASSERT_EQ(::poll(&entry, 1, deadline.left_ms()), 1) << "the positions do not become what is expected";
      std::array<char, 4096> events;
      ASSERT_GT(::read(changes.get(), events.data(), events.size()), 0);
    }
  }
  void wait_until_saved() {
    wait_until([this] {
      std::ifstream in(file());
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const auto document = parse_json_object(text);
      const auto* positions = document ? find_object(*document, "positions") : nullptr;
      return positions != nullptr && int_or(*positions, app_) == static_cast<std::int64_t>(end_of_log());
    });
  }
  json::object status_of(const std::string& id) {
    for (const auto& entry : forwarder_->status())
      if (string_or(entry.as_object(), "id") == id) return entry.as_object();
    return {};
  }

  StoreDoor door_;
  StoreClient store_{door_};
  EventLog log_;
  AppLogLimits limits_;
  SyslogServer server_;
  const std::string app_ = new_uuid(), sink_ = new_uuid();
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<Forwarder> forwarder_;
};

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
