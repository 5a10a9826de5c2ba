#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "http_client_test.h"

namespace flynn::http {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kChunkedHead = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kLastGet = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

TEST_F(HttpServer, ReadsAChunkedBodyAndTheRequestBehindIt) {
  given_server();
  Client asking = client();

  asking.send(std::string(kChunkedHead) + "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n" +
              std::string(kLastGet));

  const std::string answers = asking.read_all();
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answers, HasSubstr("<hello world>"));
  EXPECT_THAT(answers, EndsWith("<>"));
  EXPECT_EQ(handled_, 2);
}

TEST_F(HttpServer, ReadsABodyOfAKnownLengthAndTheRequestBehindIt) {
  given_server();
  Client asking = client();

  asking.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /none HTTP/1.1\r\nHost: a\r\n\r\n" +
              std::string(kLastGet));

  const std::string answers = asking.read_all();
  EXPECT_THAT(answers, HasSubstr("<hello>"));
  EXPECT_THAT(answers, EndsWith("<>"));
  EXPECT_EQ(handled_, 3);
}

TEST_F(HttpServer, RefusesAMalformedChunkedBody) {
  given_server();
  const std::vector<std::string> bodies = {"zz\r\nhello\r\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n",
                                           "\r\nhello\r\n0\r\n\r\n",   "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
                                           "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello\r\n0x\r\n\r\n",
                                           "5\nhello\r\n0\r\n\r\n"};
  for (const std::string& body : bodies) {
    Client asking = client();

    asking.send(std::string(kChunkedHead) + body + std::string(kLastGet));

    const std::string answer = asking.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << body;
    EXPECT_THAT(answer, HasSubstr("Connection: Close")) << body;
    EXPECT_THAT(answer, Not(HasSubstr("200 OK"))) << body;
  }
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServer, RefusesABodyThatIsBrokenOff) {
  given_server();
  const std::vector<std::string> requests = {
      std::string(kChunkedHead) + "5\r\nhel", std::string(kChunkedHead) + "5\r\nhello\r\n",
      std::string(kChunkedHead) + "5\r\nhello\r\n0\r\n", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"};
  for (const std::string& request : requests) {
    Client asking = client();

    asking.send(request);
    asking.send_no_more();

    EXPECT_THAT(asking.read_all(), StartsWith("HTTP/1.1 400")) << request;
  }
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServer, RefusesAHeadThatTellsTwoLengths) {
  given_server();
  const std::vector<std::string> fields = {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                                           "Transfer-Encoding: chunked\r\nContent-Length: 5",
                                           "Content-Length: 5\r\nContent-Length: 6",
                                           "Transfer-Encoding: gzip, chunked",
                                           "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
                                           "Content-Length: -5",
                                           "Content-Length: five"};
  for (const std::string& field : fields) {
    Client asking = client();

    asking.send("POST /x HTTP/1.1\r\nHost: a\r\n" + field + "\r\n\r\n0\r\n\r\n" + std::string(kLastGet));

    const std::string answer = asking.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << field;
    EXPECT_THAT(answer, Not(HasSubstr("200 OK"))) << field;
  }
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServer, TellsAClientThatItSpeaksNoHttp) {
  given_server();
  Client asking = client();

  asking.send("\x16\x03\x01 what a TLS client says, and a good deal more than a method has\r\n\r\n");

  const std::string answer = asking.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer, HasSubstr("not an HTTP request"));
}

TEST_F(HttpServer, KeepsItsWorkersWhileRefusedStrangersLinger) {
  constexpr int kStrangers = 32;  // two seconds each would be more than a client's patience
  options_.before_body = [](HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.content_length < 1) return std::nullopt;
    return HttpResponse{401, "text/plain", "who are you?", {}, nullptr};
  };
  given_server();
  std::vector<Client> strangers;
  for (int i = 0; i < kStrangers; ++i) {
    strangers.push_back(client());
    strangers.back().send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome of it");
  }

  Client known = client();
  known.send(kLastGet);

  EXPECT_THAT(known.read_all(), StartsWith("HTTP/1.1 200"));
  for (Client& stranger : strangers) EXPECT_THAT(stranger.read_all(), EndsWith("who are you?"));
}

TEST_F(HttpServer, LetsGoOfALingeringStranger) {
  options_.before_body = [](HttpRequest&) { return HttpResponse{401, "text/plain", "who are you?", {}, nullptr}; };
  given_server();
  Client stranger = client();
  stranger.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");

  const std::string answer = stranger.read_all();

  EXPECT_THAT(answer, EndsWith("who are you?"));
  EXPECT_TRUE(listener_->drain(std::chrono::steady_clock::now() + std::chrono::seconds(20)));
}

TEST_F(HttpServer, TakesInTheRestOfABodyThatIsTooBig) {
  options_.request_bytes_max = 1000;
  given_server();
  Client asking = client();
  const std::string body(16u << 20, 'x');  // more than the sockets hold

  asking.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  const bool sent = asking.send(body);

  EXPECT_TRUE(sent) << "the connection was reset under the answer";
  const std::string answer = asking.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer, HasSubstr("request_body_too_big"));
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServer, ClosesTheConnectionThatFoundTooManyStreams) {
  handle_ = [](HttpRequest&) {
    HttpResponse response;
    response.stream = std::make_unique<StreamStart>();
    return response;
  };
  given_server();
  for (std::size_t i = 0; i < kStreamsMax; ++i) {
    UniqueFd nobody;
    ASSERT_TRUE(pump_.add(std::make_unique<StreamStart>(), nobody));
  }
  Client asking = client();

  asking.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kLastGet));

  const std::string answer = asking.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("Connection: Close"));
}

TEST_F(HttpServer, EndsAHeadThatDrips) {
  options_.total_timeout = std::chrono::milliseconds(300);
  given_server();
  Client dripping = client(), asking = client();

  dripping.send("GET /x HTTP/1.1\r\nX: ");
  const bool ended = dripping.drip("x", 1000, 10);

  EXPECT_TRUE(ended);
  asking.send(kLastGet);
  EXPECT_THAT(asking.read_all(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(handled_, 1);
}

TEST_F(HttpServer, EndsABodyThatDrips) {
  options_.total_timeout = std::chrono::milliseconds(300);
  given_server();
  Client by_length = client(), by_chunks = client();

  by_length.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  const bool length_ended = by_length.drip("x", 1000, 10);
  by_chunks.send(kChunkedHead);
  const bool chunks_ended = by_chunks.drip("1\r\nx\r\n", 1000, 10);

  EXPECT_TRUE(length_ended);
  EXPECT_THAT(by_length.read_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(chunks_ended);
  EXPECT_THAT(by_chunks.read_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(handled_, 0);
}

class Counting : public BodySink {
 public:
  explicit Counting(std::atomic<std::size_t>& count) : count_(count) {}
  bool take(std::string_view piece) override {
    count_ += piece.size();
    return true;
  }

 private:
  std::atomic<std::size_t>& count_;
};

TEST_F(HttpServer, GivesABodyWithASinkMoreTimeWhileItComesFastEnough) {
  std::atomic<std::size_t> sunk{0};
  options_.total_timeout = std::chrono::milliseconds(300);
  options_.sink_rate_min = 1000;
  options_.before_body = [&](HttpRequest& request) -> std::optional<HttpResponse> {
    request.sink = std::make_shared<Counting>(sunk);
    return std::nullopt;
  };
  given_server();
  Client steady = client(), dripping = client();

  steady.send("PUT /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_FALSE(steady.drip(std::string(2500, 'x'), 40, 20));  // 800 ms, more than the 300 without a rate
  EXPECT_THAT(steady.read_all(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(sunk, 100000u);

  dripping.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_TRUE(dripping.drip("x", 1000, 10));  // 100 bytes a second at most
  EXPECT_THAT(dripping.read_all(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(handled_, 1);
}

}  // namespace
}  // namespace flynn::http
