#include "http/head_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "http/error_page.h"

namespace flynn::router {
namespace {

using std::string;

string rewritten(const string& bytes,
                 RequestContext context = {"10.1.2.3", "80", false, "fresh-id-0123456789abc", 1234, false}) {
  RequestHead head;
  const auto result = parse_request_head(bytes, head);
  EXPECT_EQ(result.state, ParseState::kComplete) << result.reason;
  HeadBuffer out;
  write_request_head(head, context, out);
  RequestHead again;
  EXPECT_EQ(parse_request_head(out.view(), again).state, ParseState::kComplete)
      << "what is written parses: " << out.view();
  EXPECT_EQ(again.body.kind, head.body.kind);
  EXPECT_EQ(again.body.length, head.body.length);
  return string(out.view());
}

TEST(HeadWriter, WritesARequestInItsOwnWords) {
  EXPECT_EQ(
      rewritten("\r\nGET http://a.example/x?y HTTP/1.0\r\nhost:a.example\r\nAccept:  */* \r\n\r\n"),
      "GET /x?y HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: http\r\n"
      "X-Forwarded-Port: 80\r\nX-Forwarded-Host: a.example\r\nX-Request-Start: 1234\r\n"
      "X-Request-Id: fresh-id-0123456789abc\r\n\r\n");
}

TEST(HeadWriter, DropsHopByHopHeadersAndThoseThatConnectionNames) {
  const auto out = rewritten(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret\r\nx-secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: "
      "x\r\n"
      "TE: trailers\r\nTrailer: X\r\nProxy-Authorization: x\r\nX-Kept: 2\r\n\r\n");
  for (const char* gone : {"onnection", "ecret", "Keep-Alive", "TE:", "Trailer", "Proxy"})
    EXPECT_EQ(out.find(gone), string::npos) << gone;
  EXPECT_NE(out.find("X-Kept: 2\r\n"), string::npos);
}

TEST(HeadWriter, KeepsHostAndFramingWhateverConnectionNames) {
  const auto out =
      rewritten("POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length\r\nContent-Length: 3\r\n\r\n");
  EXPECT_NE(out.find("Host: a\r\n"), string::npos);
  EXPECT_NE(out.find("Content-Length: 3\r\n"), string::npos);
}

TEST(HeadWriter, AppendsToForwardedForAndDecidesTheOthersUnlessTrusted) {
  const string request =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: "
      "https\r\n"
      "X-Forwarded-Port: 443\r\nX-Forwarded-Host: evil\r\nX-Request-Start: 1\r\n\r\n";
  const auto strict = rewritten(request);
  EXPECT_NE(strict.find("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.1.2.3\r\n"), string::npos);
  EXPECT_NE(strict.find("X-Forwarded-Proto: http\r\n"), string::npos);
  EXPECT_EQ(strict.find("evil"), string::npos);
  EXPECT_NE(strict.find("X-Request-Start: 1234\r\n"), string::npos);

  const auto trusting = rewritten(request, {"10.1.2.3", "80", false, "fresh-id-0123456789abc", 1234, true});
  EXPECT_NE(trusting.find("X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Host: evil\r\n"),
            string::npos);
}

TEST(HeadWriter, KeepsAValidRequestIdOnly) {
  const auto with_id = [](const string& lines) { return rewritten("GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"); };
  const string good(20, 'a');
  EXPECT_NE(with_id("X-Request-Id: " + good + "\r\n").find("X-Request-Id: " + good + "\r\n"), string::npos);
  for (const string& bad : {string(19, 'a'), string(201, 'a'), string(20, ' ') + "a b", string(20, 'a') + "\""})
    EXPECT_NE(with_id("X-Request-Id: " + bad + "\r\n").find("X-Request-Id: fresh-id-0123456789abc\r\n"), string::npos)
        << bad;
  EXPECT_NE(with_id("X-Request-Id: " + good + "\r\nX-Request-Id: " + good + "\r\n").find("fresh-id"), string::npos);
}

TEST(HeadWriter, WritesFramingOfItsOwn) {
  EXPECT_NE(rewritten("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n")
                .find("Transfer-Encoding: chunked\r\n"),
            string::npos);
  EXPECT_NE(rewritten("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").find("Content-Length: 0\r\n"),
            string::npos);
  EXPECT_EQ(rewritten("GET / HTTP/1.1\r\nHost: a\r\n\r\n").find("Content-Length"), string::npos);
}

TEST(HeadWriter, PassesUpgradeAndExpect) {
  const auto out = rewritten(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: "
      "100-Continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_NE(out.find("Connection: Upgrade\r\nUpgrade: websocket\r\n"), string::npos);
  EXPECT_NE(out.find("Expect: 100-Continue\r\n"), string::npos);
  EXPECT_EQ(rewritten("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n").find("Upgrade"), string::npos);
}

TEST(HeadWriter, FitsTheLargestHead) {
  string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 98; ++i) request += "a:\r\n";
  request += "X-Forwarded-For:" + string(kHeadBytesMax - request.size() - 20, 'x') + "\r\n\r\n";
  RequestHead head;
  ASSERT_EQ(parse_request_head(request, head).state, ParseState::kComplete);
  HeadBuffer out;
  write_request_head(head, {"10.1.2.3", "80", false, "fresh-id-0123456789abc", 1234, true}, out);
  EXPECT_GT(out.view().size(), request.size());
  EXPECT_TRUE(out.view().ends_with("\r\n\r\n"));
}

string answered(const string& bytes, ResponseContext context) {
  ResponseHead head;
  EXPECT_EQ(parse_response_head(bytes, head).state, ParseState::kComplete);
  HeadBuffer out;
  write_response_head(head, context, out);
  return string(out.view());
}

TEST(HeadWriter, WritesAResponse) {
  ResponseContext context;
  context.framing = {BodyFraming::Kind::kLength, 4};
  EXPECT_EQ(
      answered("HTTP/1.0 200 Fine\r\nX:y\r\nConnection: close, Z\r\nZ: 1\r\nKeep-Alive: 1\r\nContent-Length: 4\r\n\r\n",
               context),
      "HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 4\r\n\r\n");
  context.client_keep_alive = false;
  context.set_cookie = "a=b";
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n\r\n", context),
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\nConnection: close\r\n\r\n");
}

TEST(HeadWriter, WritesResponsesWithoutABody) {
  ResponseContext context;
  EXPECT_EQ(answered("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", context),
            "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", context),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", context),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\n", context), "HTTP/1.1 100 Continue\r\n\r\n");
  context.to_head_request = true;
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", context),
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  context.client_minor = 0;
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n\r\n", context), "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
}

TEST(HeadWriter, WritesChunkSizes) {
  char room[kChunkSizeBytesMax];
  const auto text = [&](std::size_t size) {
    const char* end = room + sizeof room;
    return string(static_cast<const char*>(write_chunk_size_before(room + sizeof room, size)), end);
  };
  EXPECT_EQ(text(0), "0\r\n");
  EXPECT_EQ(text(0x1af0), "1af0\r\n");
  EXPECT_EQ(text(SIZE_MAX), "ffffffffffffffff\r\n");
}

TEST(ErrorPage, SaysWhatToDoAndEscapesNames) {
  ErrorPage page;
  page.status = 404;
  page.reason = "No route for this host";
  page.host = "a<b>";
  page.keep_alive = true;
  const auto html = make_error_response(page);
  EXPECT_NE(html.find("flynn route"), string::npos);
  EXPECT_EQ(html.find("a<b>"), string::npos);
  const auto body_at = html.find("\r\n\r\n") + 4;
  EXPECT_NE(html.find("Content-Length: " + std::to_string(html.size() - body_at) + "\r\n"), string::npos);

  page.json = true;
  page.head_only = true;
  const auto head = make_error_response(page);
  EXPECT_NE(head.find("application/json"), string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST(ErrorPage, GivesJsonToThoseWhoAskForIt) {
  EXPECT_TRUE(accepts_json("application/json"));
  EXPECT_FALSE(accepts_json("text/html,application/json"));
  EXPECT_FALSE(accepts_json("*/*"));
}

}  // namespace
}  // namespace flynn::router
