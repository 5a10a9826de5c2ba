#include <gtest/gtest.h>

#include <string>

#include "http/head.h"

namespace flynn::router {
namespace {

using std::string;
using Kind = BodyFraming::Kind;

bool accepted(const string& bytes) {
  ResponseHead head;
  const auto result = parse_response_head(bytes, head);
  if (result.state == ParseState::kRejected) {
    EXPECT_EQ(result.status, 502);
  }
  return result.state == ParseState::kComplete;
}

TEST(ResponseHead, RejectsWhatAClientCouldReadDifferently) {
  const string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_TRUE(accepted(ok + "\r\n"));
  EXPECT_TRUE(accepted("HTTP/1.1 200\r\n\r\n"));
  EXPECT_TRUE(accepted("HTTP/1.0 404 \r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "Content-Length: 5, 5\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "Transfer-Encoding: gzip, chunked\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "X: a\r\n b\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "X: a\n\r\n"));
  EXPECT_FALSE(accepted(ok + "X: a\rb\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "X : a\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/2 200 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.1 20 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.1 2000 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.1 099 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.1 600 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("HTTP/1.1  200 OK\r\n\r\n"));
  EXPECT_FALSE(accepted("ICY 200 OK\r\n\r\n"));
  EXPECT_FALSE(accepted(ok + "X: " + string(kHeadBytesMax, 'a') + "\r\n\r\n"));
}

BodyFraming framing(const string& bytes, Method method = Method::kGet) {
  ResponseHead head;
  EXPECT_EQ(parse_response_head(bytes, head).state, ParseState::kComplete) << bytes;
  return response_framing(head, method);
}

TEST(ResponseHead, KnowsHowItsBodyEnds) {
  const string length = "Content-Length: 7\r\n\r\n", chunked = "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n" + length).length, 7u);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n" + chunked).kind, Kind::kChunked);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n\r\n").kind, Kind::kUntilClose);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").kind, Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n" + length, Method::kHead).kind, Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n" + chunked, Method::kHead).kind, Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 204 No Content\r\n" + length).kind, Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 304 Not Modified\r\n" + length).kind, Kind::kNone);
  EXPECT_EQ(framing("HTTP/1.1 100 Continue\r\n\r\n").kind, Kind::kNone);
}

TEST(ResponseHead, KnowsWhetherTheBackendStays) {
  const auto keeps = [](const string& bytes) {
    ResponseHead head;
    EXPECT_EQ(parse_response_head(bytes, head).state, ParseState::kComplete);
    return head.keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0 200 OK\r\n\r\n"));
  EXPECT_TRUE(keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
}

}  // namespace
}  // namespace flynn::router
