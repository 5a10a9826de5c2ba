#include "engine/data_plane.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::deadline_in;
using testing::echo_requests;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n";

TEST(DataPlane, ServesManyRequestsOnOneConnectionToEachSide) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();

  for (int i = 0; i < 100; ++i) {
    const auto answer = client.ask(kGet);
    ASSERT_EQ(answer.status, 200);
    EXPECT_NE(answer.body.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos);
  }

  // A response is counted after it has been sent: the end of the connection is the moment to look.
  client.close();
  router.plane.stop_accepting();
  ASSERT_TRUE(router.plane.drain(deadline_in(5'000)));
  EXPECT_EQ(backend.connections(), 1);
  EXPECT_EQ(router.plane.totals().requests, 100u);
  EXPECT_EQ(router.plane.totals().responses[2], 100u);
}

TEST(DataPlane, AnswersPipelinedRequestsInOrder) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc";

  ASSERT_TRUE(client.send(all));

  for (int i = 0; i < 50; ++i) {
    const auto answer = client.read_answer();
    EXPECT_TRUE(answer.body.starts_with("POST /" + std::to_string(i) + " ")) << i;
    EXPECT_TRUE(answer.body.ends_with("abc")) << i;
  }
}

TEST(DataPlane, UnderstandsAHeadThatComesByteByByte) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();

  for (const char c : kGet) ASSERT_TRUE(client.send({&c, 1}));

  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(DataPlane, StreamsLargeBodiesBothWays) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  std::string body(5'000'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * i % 23);
  auto client = router.client();

  std::thread sender([&] {
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    client.send(body);
  });
  const auto answer = client.read_answer();
  sender.join();
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body.ends_with(body));

  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += 7777) {
    const auto piece = body.substr(at, 7777);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    chunks += size + piece + "\r\n";
  }
  std::thread chunker([&] {
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
                "0\r\nX-T: 1\r\n\r\n");
  });
  const auto second = client.read_answer();
  chunker.join();
  EXPECT_TRUE(second.complete);
  EXPECT_TRUE(second.body.ends_with(body));
}

// What the router makes of each kind of answer.
TEST(DataPlane, PassesEveryKindOfResponse) {
  std::mutex mutex;
  std::string answer;
  bool close = false;
  TestBackend backend([&](Peer& peer) {
    while (!peer.read_head().empty()) {
      const std::lock_guard lock(mutex);
      peer.send(answer);
      if (close) return;
    }
  });
  TestRouter router({backend.addr()});
  const auto ask = [&](std::string text, bool then_close = false, const std::string& request = kGet) {
    {
      const std::lock_guard lock(mutex);
      answer = std::move(text);
      close = then_close;
    }
    auto client = router.client();
    client.send(request);
    return client.read_answer(request.starts_with("HEAD"));
  };

  auto got = ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(got.body, "abcde");
  EXPECT_TRUE(got.has("Transfer-Encoding: chunked\r\n"));
  got = ask("HTTP/1.1 200 OK\r\n\r\nuntil the end", true);
  EXPECT_EQ(got.body, "until the end");
  EXPECT_TRUE(got.has("Connection: close\r\n"));
  got = ask("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(got.head, "HTTP/1.1 204 No Content\r\n\r\n");
  got = ask("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(got.head, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
  got = ask("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  EXPECT_EQ(got.head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  got = ask("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(got.status, 103);
  got = ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false,
            "GET / HTTP/1.0\r\nHost: app.test\r\n\r\n");
  EXPECT_EQ(got.body, "abc");
  EXPECT_FALSE(got.has("chunked"));
  // And what must not pass.
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc").status, 502);
  EXPECT_EQ(ask("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").status, 502);
  EXPECT_EQ(ask("nonsense\r\n\r\n").status, 502);
  EXPECT_EQ(ask("", true).status, 502);
  EXPECT_FALSE(ask("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true).complete);
  EXPECT_FALSE(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", true).complete);
}

TEST(DataPlane, NeverUsesAConnectionAgainAfterBytesThatNobodyAskedFor) {
  TestBackend backend([](Peer& peer) {
    while (!peer.read_head().empty())
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  });
  TestRouter router({backend.addr()});
  auto client = router.client();

  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.ask(kGet).body, "ok");

  EXPECT_EQ(backend.connections(), 5);
}

TEST(DataPlane, ForwardsNothingOfARequestThatItRejects) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  const std::string post = "POST / HTTP/1.1\r\nHost: app.test\r\n";
  const std::string smuggled = "GET /evil HTTP/1.1\r\nHost: app.test\r\n\r\n";
  for (const auto& request : {
           post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
           post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + smuggled,
           post + "Transfer-Encoding: xchunked\r\n\r\n" + smuggled,
           post + "X: a\n\r\n" + smuggled,
           std::string("GET / HTTP/1.1\n\n"),
           "GET / HTTP/1.1\r\nHost: app.test\r\nX: y\r\n z\r\n\r\n" + smuggled,
           "GET / HTTP/1.1\r\nHost: app.test\r\nX: " + std::string(70'000, 'a'),
       }) {
    auto client = router.client();
    client.send(request);
    const auto answer = client.read_answer();
    EXPECT_GE(answer.status, 400) << request.substr(0, 80);
    EXPECT_TRUE(answer.has("Connection: close\r\n"));
    EXPECT_EQ(client.read_to_end(), "") << "the connection ends with the rejection";
  }
  EXPECT_EQ(backend.connections(), 0);
}

TEST(DataPlane, EndsAnUploadWhoseChunksAreBroken) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();

  const auto answer = client.ask("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX");

  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(DataPlane, SaysWhatIsWrongAndKeepsTheConnection) {
  TestRouter router({});
  auto client = router.client();

  auto answer = client.ask("GET / HTTP/1.1\r\nHost: other.test\r\nAccept: application/json\r\n\r\n");
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("\"code\":\"no_route\""), std::string::npos);
  answer = client.ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("flynn route"), std::string::npos);
}

TEST(DataPlane, HoldsARequestUntilABackendComes) {
  TestBackend backend(echo_requests);
  TestRouter router({});
  auto client = router.client();
  ASSERT_TRUE(client.send(kGet));
  auto other = router.client();
  EXPECT_EQ(other.ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").status, 404);

  ASSERT_TRUE(router.builder.put_backend("app-web", "late", backend.addr()));
  router.publish();

  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(DataPlane, Answers503WhenNoBackendComes) {
  Settings settings;
  settings.wait_backend_ms = 300;
  TestRouter router({}, settings);
  auto client = router.client();

  const auto answer = client.ask(kGet);

  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: 1\r\n"));
}

TEST(DataPlane, AnswersForAnAppInMaintenanceThoughItsBackendIsUp) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();
  ASSERT_EQ(client.ask(kGet).status, 200);

  router.builder.put_route({"r", "app.test", "/", "app-web", "app", false, true});
  router.publish();
  const auto closed = client.ask(kGet);
  router.builder.put_route({"r", "app.test", "/", "app-web", "app", false, false});
  router.publish();

  EXPECT_EQ(closed.status, 503);
  EXPECT_TRUE(closed.has("Retry-After: 60\r\n"));
  EXPECT_NE(closed.body.find("maintenance"), std::string::npos) << closed.body;
  EXPECT_EQ(client.ask(kGet).status, 200) << "the connection stays of use";
}

TEST(DataPlane, TriesAnotherBackendWhenOneRefuses) {
  TestBackend backend(echo_requests);
  const auto closed_port = [] { return testing::port_of(testing::listen_anywhere().get()); }();
  TestRouter router({"127.0.0.1:" + std::to_string(closed_port), backend.addr()});

  for (int i = 0; i < 20; ++i) EXPECT_EQ(router.client().ask(kGet).status, 200);
}

TEST(DataPlane, RepeatsAGetWhoseIdleConnectionHasDiedButNoPost) {
  // Each connection serves one request and dies at the second one, as a server does whose idle time-out runs out.
  TestBackend backend([](Peer& peer) {
    const auto head = peer.read_head();
    if (head.starts_with("POST")) peer.read_exactly(1);
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    peer.read_head();
  });
  Settings settings;
  settings.threads = 1;
  TestRouter router({backend.addr()}, settings);
  auto client = router.client();
  const std::string post = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\nx";

  EXPECT_EQ(client.ask(kGet).status, 200);
  EXPECT_EQ(client.ask(kGet).status, 200);
  EXPECT_EQ(backend.connections(), 2);
  EXPECT_EQ(client.ask(post).status, 502);
}

TEST(DataPlane, LetsGoOfAnInstanceWhoseIdleConnectionsEndedBeforeItDid) {
  std::promise<void> ended;
  TestBackend backend([&](Peer& peer) {
    echo_requests(peer);
    ended.set_value();
  });
  Settings settings;
  settings.upstream_idle_timeout_ms = 50;
  TestRouter router({backend.addr()}, settings);
  EXPECT_EQ(router.client().ask(kGet).status, 200);
  ended.get_future().wait();
  const std::weak_ptr<Backend> gone = router.builder.publish()->service("app-web")->backends.front();

  router.builder.remove_backend("app-web", "0");
  router.publish();
  router.plane.stop_accepting();  // returns when every loop has the new table

  EXPECT_TRUE(gone.expired());
}

TEST(DataPlane, PassesExpectContinue) {
  TestBackend backend([](Peer& peer) {
    if (peer.read_head().find("Expect: 100-continue\r\n") == std::string::npos) return;
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + peer.read_exactly(3));
  });
  TestRouter router({backend.addr()});
  auto client = router.client();
  client.send("POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");

  EXPECT_EQ(client.read_answer().status, 100);
  client.send("abc");
  EXPECT_EQ(client.read_answer().body, "abc");
}

TEST(DataPlane, ClosesAfterAnUploadThatWasRefusedBeforeItBegan) {
  TestBackend backend([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    peer.read_to_end();
  });
  TestRouter router({backend.addr()});
  auto client = router.client();

  const auto answer =
      client.ask("POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");

  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(DataPlane, AnswersAClientThatHasFinishedSending) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  auto client = router.client();
  client.send(kGet);
  client.end_sending();

  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(DataPlane, TimesOutHeadsAndBackends) {
  TestBackend silent([](Peer& peer) { peer.read_to_end(); });
  Settings settings;
  settings.head_timeout_ms = 200;
  settings.stream_timeout_ms = 400;
  TestRouter router({silent.addr()}, settings);

  auto slow = router.client();
  slow.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(slow.read_answer().status, 408);
  auto quiet = router.client();
  EXPECT_TRUE(quiet.at_end());
  EXPECT_EQ(router.client().ask(kGet).status, 504);
}

TEST(DataPlane, StaysWithOneBackendWhenSticky) {
  TestBackend one([](Peer& peer) {
    while (!peer.read_head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
  });
  TestBackend two([](Peer& peer) {
    while (!peer.read_head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
  });
  TestRouter router({one.addr(), two.addr()});
  router.builder.put_route({"r1", "app.test", "/", "app-web", "app-1", true});
  router.publish();
  auto client = router.client();
  const auto first = client.ask(kGet);
  const auto at = first.head.find("Set-Cookie: _backend=");
  ASSERT_NE(at, std::string::npos);
  const auto cookie = first.head.substr(at + 12, 9 + 16);

  for (int i = 0; i < 30; ++i) {
    const auto answer = client.ask("GET / HTTP/1.1\r\nHost: app.test\r\nCookie: a=b; " + cookie + "\r\n\r\n");
    EXPECT_EQ(answer.body, first.body);
    EXPECT_FALSE(answer.has("Set-Cookie"));
  }
}

TEST(DataPlane, SpreadsRequestsOverBackends) {
  TestBackend one(echo_requests), two(echo_requests);
  TestRouter router({one.addr(), two.addr()});
  for (int i = 0; i < 40; ++i) ASSERT_EQ(router.client().ask(kGet).status, 200);

  EXPECT_GT(one.connections(), 0);
  EXPECT_GT(two.connections(), 0);
}

}  // namespace
}  // namespace flynn::router
