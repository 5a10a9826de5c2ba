// HTTPS through the built plugin, with a client that speaks real TLS.
#include <gtest/gtest.h>

#include "testing/plugin_world.h"
#include "testing/tls_client.h"

namespace flynn::router {
namespace {

using testing::Certificate;
using testing::certificate_for;
using testing::certificate_kv;
using testing::instance;
using testing::kCurrent;
using testing::Loaded;
using testing::Peer;
using testing::route_kv;
using testing::TestBackend;
using testing::TlsClient;
using testing::World;

std::string get(const std::string& host) {
  return "GET /page HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
}

class RouterTls : public ::testing::Test {
 protected:
  explicit RouterTls(std::function<void(Peer&)> serve = testing::echo_requests)
      : backend_(std::move(serve)),
        http_(testing::listen_anywhere()),
        https_(testing::listen_anywhere()),
        port_(testing::port_of(https_.get())),
        world_(http_.get()) {
    world_.https_listener = https_.get();
    world_.set_first_routes(certificate_kv("r1", "one.test", certificate_for("one.test")) + "," +
                            route_kv("r2", "plain.test") + "," + certificate_kv("", "", certificate_for("default")));
    world_.set_first_instances(instance("up", "i1", backend_.addr()) + "\n" + kCurrent);
    router_ = std::make_unique<Loaded>(world_);
    router_->configure(R"({"threads":2})");
    router_->run(router_->vt->start);
    router_->run(router_->vt->activate);
  }
  ~RouterTls() override {
    if (!router_) return;
    world_.close();
    router_->stop();
  }

  TestBackend backend_;
  UniqueFd http_, https_;
  int port_;
  World world_;
  std::unique_ptr<Loaded> router_;
};

TEST_F(RouterTls, ServesEachNameWithItsCertificate) {
  TlsClient one(port_, "one.test"), plain(port_, "plain.test");
  ASSERT_TRUE(one.connected());
  ASSERT_TRUE(plain.connected());

  EXPECT_EQ(one.server(), "one.test");
  EXPECT_EQ(plain.server(), "default");
  EXPECT_EQ(one.protocol(), "http/1.1");
  bool orderly = false;
  one.send(get("one.test"));
  const auto answer = one.read_to_end(orderly);
  EXPECT_NE(answer.find("HTTP/1.1 200"), std::string::npos) << answer;
  EXPECT_NE(answer.find("X-Forwarded-Proto: https"), std::string::npos) << answer;
  EXPECT_NE(answer.find("X-Forwarded-Port: " + std::to_string(port_)), std::string::npos) << answer;
  EXPECT_NE(answer.find("X-Forwarded-For: 127.0.0.1"), std::string::npos) << answer;
  EXPECT_TRUE(orderly) << "the end is said, so that nobody takes a part for the whole";
}

TEST_F(RouterTls, ChangesCertificatesWhileItServes) {
  world_.tell_routes(R"({"revision":8,"events":[{"type":"put","kv":)" +
                     certificate_kv("r1", "one.test", certificate_for("renewed")) + "}]}");
  std::string server;
  for (const auto end = Deadline::after(std::chrono::seconds(8)); server != "renewed" && !end.passed();)
    server = TlsClient(port_, "one.test").server();
  EXPECT_EQ(server, "renewed");
}

TEST_F(RouterTls, KeepsAConnectionForManyRequestsAndLargeBodies) {
  TlsClient client(port_, "plain.test");
  const std::string body(3 << 20, 'b');
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send("POST /up HTTP/1.1\r\nHost: plain.test\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\n\r\n" + body));
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const auto one = client.read(1);
      ASSERT_FALSE(one.empty());
      head += one;
    }
    const auto at = head.find("Content-Length: ");
    ASSERT_NE(at, std::string::npos) << head;
    const auto size = static_cast<std::size_t>(std::stoul(head.substr(at + 16)));
    const auto echoed = client.read(size);
    ASSERT_EQ(echoed.size(), size);
    EXPECT_TRUE(echoed.ends_with(body)) << "nothing lost in " << i;
  }
}

TEST_F(RouterTls, EndsInOrderWhenTheRouterDrains) {
  TlsClient idle(port_, "plain.test"), late(port_, "plain.test");
  ASSERT_TRUE(idle.connected());
  ASSERT_TRUE(late.connected());
  late.send("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  ASSERT_FALSE(late.read(12).empty());

  router_->run(router_->vt->quiesce);
  router_->drain(5000);

  bool orderly = false;
  EXPECT_EQ(idle.read_to_end(orderly), "");
  EXPECT_TRUE(orderly);
  EXPECT_NE(late.read_to_end(orderly).find("\r\n\r\n"), std::string::npos) << "what was asked is answered";
  EXPECT_TRUE(orderly);
}

TEST_F(RouterTls, DoesNotTakeABrokenAnswerForTheWhole) {
  router_->run(router_->vt->quiesce);
  world_.close();
  router_->stop();
  router_.reset();
  TestBackend breaks([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
    peer.reset();
  });
  World world(http_.get());
  world.https_listener = https_.get();
  world.set_first_routes(certificate_kv("r1", "one.test", certificate_for("one.test")));
  world.set_first_instances(instance("up", "i1", breaks.addr()) + "\n" + kCurrent);
  Loaded router(world);
  router.configure(R"({"threads":1})");
  router.run(router.vt->start);
  router.run(router.vt->activate);
  TlsClient client(port_, "one.test");
  client.send(get("one.test"));
  bool orderly = true;

  const auto got = client.read_to_end(orderly);

  EXPECT_NE(got.find("half"), std::string::npos) << got;
  EXPECT_FALSE(orderly);
  world.close();
  router.stop();
}

TEST_F(RouterTls, ServesOthersWhileSomebodySaysNothing) {
  const auto silent = Peer::connect(port_);
  auto nonsense = Peer::connect(port_);
  nonsense.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(nonsense.read_to_end().find("200") == std::string::npos);

  TlsClient client(port_, "plain.test");
  bool orderly = false;
  client.send(get("plain.test"));
  EXPECT_NE(client.read_to_end(orderly).find("HTTP/1.1 200"), std::string::npos);
}

}  // namespace
}  // namespace flynn::router
