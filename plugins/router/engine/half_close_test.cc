// A client ends its side before its answer has ended: it still reads, or it has gone.
#include <gtest/gtest.h>

#include <future>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::deadline_in;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

const std::string kChunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kEventHead =
    "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kFirst = "5\r\nfirst\r\n";
constexpr int kSoonMs = 8'000;
constexpr std::uint32_t kNeverMs = 3'600'000;

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
}

Settings one_thread(std::uint32_t half_closed_idle_ms, std::uint32_t drain_idle_ms = 100) {
  Settings settings;
  settings.threads = 1;
  settings.half_closed_idle_ms = half_closed_idle_ms;
  settings.drain_idle_ms = drain_idle_ms;
  return settings;
}

// A loop takes events in the order in which they came: with this answer it has seen all that was before.
void let_the_loop_catch_up(const TestRouter& router) {
  ASSERT_EQ(router.client().ask("GET / HTTP/1.1\r\nHost: none.test\r\n\r\n").status, 404);
}

/// Sends `start` at once, `rest` when it is told to, and then waits for its end; says whether that came.
class StreamingBackend {
 public:
  explicit StreamingBackend(std::string start, std::string rest = "")
      : start_(std::move(start)), rest_(std::move(rest)), backend_([this](Peer& peer) { serve(peer); }) {}
  ~StreamingBackend() {
    if (!told_once_) go_on();  // nobody waits for a test that has failed
  }
  [[nodiscard]] std::string addr() const { return backend_.addr(); }
  void go_on() {
    told_once_ = true;
    told_.set_value();
  }
  bool has_ended() { return ended_.get_future().get(); }

 private:
  void serve(Peer& peer) {
    peer.read_head();
    peer.send(start_);
    if (!rest_.empty()) {
      told_.get_future().wait();
      peer.send(rest_);
      return;
    }
    ended_.set_value(peer.at_end());
  }

  std::string start_, rest_;
  bool told_once_ = false;
  std::promise<void> told_;
  std::promise<bool> ended_;
  TestBackend backend_;
};

TEST(HalfClose, AnEventStreamEndsWithItsClient) {
  StreamingBackend backend(kEventHead + kFirst);
  TestRouter router({backend.addr()}, one_thread(kNeverMs));
  auto client = router.client();
  client.send(get("/"));
  ASSERT_NE(client.read_head().find("200 OK"), std::string::npos);
  ASSERT_EQ(client.read_exactly(kFirst.size()), kFirst);

  client.close();

  EXPECT_TRUE(backend.has_ended());
  router.plane.stop_accepting();
  EXPECT_TRUE(router.plane.drain(deadline_in(kSoonMs)));
}

TEST(HalfClose, AnEventStreamToOneThatHadEndedBeforeIsReset) {
  StreamingBackend backend(kEventHead);
  TestRouter router({backend.addr()}, one_thread(kNeverMs));
  auto client = router.client();
  client.send(get("/"));
  client.end_sending();

  EXPECT_TRUE(client.ends_by_reset());
  EXPECT_TRUE(backend.has_ended());
}

TEST(HalfClose, AnAnswerThatEndsIsPassedWhole) {
  const std::string length = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n";
  struct Case {
    std::string start, rest, body;
  };
  const Case cases[] = {{"", length + "firstrest", "firstrest"},
                        {length + "first", "rest", "firstrest"},
                        {kChunkedHead + kFirst, "4\r\nrest\r\n0\r\n\r\n", "firstrest"},
                        {"HTTP/1.1 200 OK\r\n\r\nfirst", "rest", "firstrest"}};
  for (const auto& [start, rest, body] : cases) {
    StreamingBackend backend(start, rest);
    TestRouter router({backend.addr()}, one_thread(kNeverMs));
    auto client = router.client();
    client.send(get("/"));
    client.end_sending();
    let_the_loop_catch_up(router);

    backend.go_on();
    const auto answer = client.read_answer();

    EXPECT_TRUE(answer.complete) << start;
    EXPECT_EQ(answer.body, body) << start;
    EXPECT_TRUE(client.at_end());
  }
}

TEST(HalfClose, AStreamThatFallsQuietEnds) {
  for (const auto& head : {kChunkedHead, std::string("HTTP/1.1 200 OK\r\n\r\n")}) {
    StreamingBackend backend(head + kFirst);
    TestRouter router({backend.addr()}, one_thread(100));
    auto client = router.client();
    client.send(get("/"));
    client.read_head();
    ASSERT_EQ(client.read_exactly(1).size(), 1u);

    client.end_sending();

    EXPECT_TRUE(client.ends_by_reset()) << "a part must not be taken for the whole";
    EXPECT_TRUE(backend.has_ended());
  }
}

TEST(HalfClose, ASlowReaderIsNotAQuietStream) {
  const std::string body(16 * 1024 * 1024, 'x');
  TestBackend backend([&](Peer& peer) {
    const bool large = peer.read_head().starts_with("GET /large ");
    peer.send(kChunkedHead);
    if (large)
      peer.send("1000000\r\n" + body + "\r\n0\r\n\r\n");
    else
      peer.read_to_end();
  });
  TestRouter router({backend.addr()}, one_thread(100));
  auto slow = router.client();
  slow.send(get("/large"));
  slow.end_sending();
  slow.read_head();
  // Those that are quiet have ended: for so long it has taken nothing.
  for (int i = 0; i < 3; ++i) {
    auto quiet = router.client();
    quiet.send(get("/quiet"));
    quiet.end_sending();
    ASSERT_TRUE(quiet.ends_by_reset());
  }

  bool complete = false;
  EXPECT_EQ(slow.read_chunks(complete).size(), body.size());
  EXPECT_TRUE(complete);
}

TEST(HalfClose, AClientThatIsThereKeepsItsQuietStream) {
  StreamingBackend backend(kEventHead + kFirst, "0\r\n\r\n");
  TestBackend quiet_backend([](Peer& peer) {
    peer.read_head();
    peer.send(kChunkedHead);
    peer.read_to_end();
  });
  TestRouter router({backend.addr()}, one_thread(100));
  router.builder.put_route({"r2", "quiet.test", "/", "quiet-web", "app-2", false});
  ASSERT_TRUE(router.builder.put_backend("quiet-web", "q", quiet_backend.addr()));
  router.publish();
  auto client = router.client();
  client.send(get("/"));
  client.read_head();
  auto gone = router.client();
  gone.send("GET / HTTP/1.1\r\nHost: quiet.test\r\n\r\n");
  gone.end_sending();
  ASSERT_TRUE(gone.ends_by_reset());

  backend.go_on();

  bool complete = false;
  EXPECT_EQ(client.read_chunks(complete), "first");
  EXPECT_TRUE(complete);
}

TEST(HalfClose, ADrainDoesNotWaitForQuietStreams) {
  StreamingBackend backend(kChunkedHead + kFirst);
  TestRouter router({backend.addr()}, one_thread(kNeverMs));
  auto client = router.client();
  client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  client.read_head();
  ASSERT_EQ(client.read_exactly(kFirst.size()), kFirst);
  client.close();
  let_the_loop_catch_up(router);
  EXPECT_EQ(router.plane.totals().responses[2], 0u) << "not ended before";
  router.plane.stop_accepting();

  EXPECT_TRUE(router.plane.hand_over(1000, deadline_in(kSoonMs)).connections.empty());
  EXPECT_TRUE(router.plane.drain(deadline_in(kSoonMs)));

  EXPECT_TRUE(backend.has_ended());
}

}  // namespace
}  // namespace flynn::router
