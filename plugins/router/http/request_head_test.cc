#include <gtest/gtest.h>

#include <string>

#include "http/head.h"

namespace flynn::router {
namespace {

using std::string;

int status_of(const string& bytes) {
  RequestHead head;
  const auto result = parse_request_head(bytes, head);
  if (result.state == ParseState::kIncomplete) return -1;
  return result.state == ParseState::kComplete ? 200 : result.status;
}

string with(const string& lines) { return "POST /x HTTP/1.1\r\nHost: a.example\r\n" + lines + "\r\n"; }

struct Case {
  const char* name;
  string bytes;
  int status;
};

// Names as in Http11Probe's list; the status is what this router answers.
TEST(RequestHead, RejectsWhateverTwoReadersCouldReadDifferently) {
  const Case cases[] = {
      {"SMUG-CL-TE-BOTH", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"SMUG-TE-CL", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
      {"SMUG-DUPLICATE-CL", with("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
      {"SMUG-DUPLICATE-CL-SAME", with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
      {"SMUG-CL-LEADING-ZEROS", with("Content-Length: 005\r\n"), 400},
      {"SMUG-CL-DOUBLE-ZERO", with("Content-Length: 00\r\n"), 400},
      {"SMUG-CL-NEGATIVE", with("Content-Length: -1\r\n"), 400},
      {"SMUG-CL-NEGATIVE-ZERO", with("Content-Length: -0\r\n"), 400},
      {"SMUG-CL-PLUS", with("Content-Length: +5\r\n"), 400},
      {"SMUG-CL-COMMA-SAME", with("Content-Length: 5, 5\r\n"), 400},
      {"SMUG-CL-COMMA-DIFFERENT", with("Content-Length: 5, 6\r\n"), 400},
      {"SMUG-CL-HEX-PREFIX", with("Content-Length: 0x5\r\n"), 400},
      {"SMUG-CL-OCTAL", with("Content-Length: 0o5\r\n"), 400},
      {"SMUG-CL-INTERNAL-SPACE", with("Content-Length: 1 0\r\n"), 400},
      {"SMUG-CL-UNDERSCORE", with("Content-Length: 1_0\r\n"), 400},
      {"SMUG-CL-EMPTY", with("Content-Length: \r\n"), 400},
      {"SMUG-CL-OVERFLOW", with("Content-Length: 18446744073709551617\r\n"), 400},
      {"SMUG-CL-OVERFLOW-63", with("Content-Length: 9223372036854775808\r\n"), 400},
      {"SMUG-TE-XCHUNKED", with("Transfer-Encoding: xchunked\r\n"), 501},
      {"SMUG-TE-DOUBLE-CHUNKED", with("Transfer-Encoding: chunked, chunked\r\n"), 501},
      {"SMUG-TE-NOT-FINAL-CHUNKED", with("Transfer-Encoding: chunked, identity\r\n"), 501},
      {"SMUG-TE-GZIP-CHUNKED", with("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"SMUG-TE-IDENTITY", with("Transfer-Encoding: identity\r\n"), 501},
      {"SMUG-TE-EMPTY-VALUE", with("Transfer-Encoding:\r\n"), 501},
      {"SMUG-TE-LEADING-COMMA", with("Transfer-Encoding: ,chunked\r\n"), 501},
      {"SMUG-TE-TRAILING-COMMA", with("Transfer-Encoding: chunked,\r\n"), 501},
      {"SMUG-CHUNKED-WITH-PARAMS", with("Transfer-Encoding: chunked;a=b\r\n"), 501},
      {"SMUG-TE-DUPLICATE-HEADERS", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"SMUG-TE-VTAB", with("Transfer-Encoding: \vchunked\r\n"), 400},
      {"SMUG-TE-FORMFEED", with("Transfer-Encoding: \fchunked\r\n"), 400},
      {"SMUG-TE-NULL", with(string("Transfer-Encoding: chunked\0\r\n", 29)), 400},
      {"SMUG-TE-SP-BEFORE-COLON", with("Transfer-Encoding : chunked\r\n"), 400},
      {"SMUG-TE-TAB-BEFORE-COLON", with("Transfer-Encoding\t: chunked\r\n"), 400},
      {"SMUG-TE-HTTP10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"SMUG-TE-OBS-FOLD", with("Transfer-Encoding:\r\n chunked\r\n"), 501},
      {"obs-fold", with("X: a\r\n b\r\n"), 400},
      {"obs-fold with tab", with("X: a\r\n\tb\r\n"), 400},
      {"leading-space first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
      {"bare LF as the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
      {"bare CR in a value", with("X: a\rb\r\n"), 400},
      {"CR CR LF", with("X: a\r\r\n"), 400},
      {"CRLF CR X ends no head", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", 400},
      {"NUL in a value", with(string("X: a\0b\r\n", 8)), 400},
      {"DEL in a value", with("X: a\x7f\r\n"), 400},
      {"no colon", with("Hello\r\n"), 400},
      {"empty name", with(": x\r\n"), 400},
      {"space in a name", with("Content Length: 5\r\n"), 400},
      {"obs-text in a name", with("Content-Length\xA0: 5\r\n"), 400},
      {"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
      {"no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", 400},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"SMUG-MULTIPLE-HOST-COMMA", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"Host with user info", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"Host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400},
      {"Host with port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", 400},
      {"Host with port 65536", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
      {"Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400},
      {"Host of a port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
      {"Host with a bad IPv6 literal", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
      {"SMUG-ABSOLUTE-URI-HOST-MISMATCH", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute URI with another port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute URI with user info", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute URI of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute URI of nothing", "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"target without a slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"control byte in the target", "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"NUL in the target", string("GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", 30), 400},
      {"fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"obs-text in the target", "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"* without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
      {"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"tab before the target", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no version (HTTP/0.9)", "GET /\r\n\r\n", 400},
      {"version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"version 1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
      {"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"TLS hello", string("\x16\x03\x01\x02\x00\x01\x00\n", 8), 400},
      {"two CRLF before the request", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"an LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"method with a brace", "GE{T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"method of 33 bytes", string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"malformed Connection", with("Connection: close; x\r\n"), 400},
      {"two Upgrades", with("Upgrade: a\r\nUpgrade: b\r\n"), 400},
      {"unknown Expect", with("Expect: 200-ok\r\n"), 417},
  };
  for (const auto& c : cases) EXPECT_EQ(status_of(c.bytes), c.status) << c.name;
}

TEST(RequestHead, AcceptsWhatIsUnusualButUnambiguous) {
  const Case cases[] = {
      {"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"SMUG-CL-TRAILING-SPACE", with("Content-Length: 5 \r\n"), 200},
      {"SMUG-CL-EXTRA-LEADING-SP", with("Content-Length:   5\r\n"), 200},
      {"CL zero", with("Content-Length: 0\r\n"), 200},
      {"SMUG-TE-CASE-MISMATCH", with("Transfer-Encoding: Chunked\r\n"), 200},
      {"SMUG-TE-TAB-BEFORE-VALUE", with("Transfer-Encoding:\tchunked\r\n"), 200},
      {"no space after a colon", with("X:y\r\n"), 200},
      {"empty value", with("X:\r\n"), 200},
      {"obs-text in a value", with("X: \xE4\r\n"), 200},
      {"one CRLF before the request", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"absolute URI", "GET http://A:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n", 200},
      {"absolute URI without a path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200},
      {"unknown method", "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 200},
      {"CL of 18 digits", with("Content-Length: 999999999999999999\r\n"), 200},
  };
  for (const auto& c : cases) EXPECT_EQ(status_of(c.bytes), c.status) << c.name;
}

TEST(RequestHead, IsIncompleteAtEveryEarlierByteAndNeverReadsFurther) {
  const string good = "POST /p?q HTTP/1.1\r\nHost: a.example:8080\r\nX: y\r\nContent-Length: 3\r\n\r\n";
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_EQ(status_of(good.substr(0, size)), -1) << size;

  const string pipelined = good + "abcGET / HTTP/1.1\r\n";
  RequestHead head;
  ASSERT_EQ(parse_request_head(pipelined, head).state, ParseState::kComplete);

  EXPECT_EQ(head.head_bytes, good.size());
  EXPECT_EQ(head.method, Method::kPost);
  EXPECT_EQ(head.target, "/p?q");
  EXPECT_EQ(head.path, "/p");
  EXPECT_EQ(head.host, "a.example:8080");
  EXPECT_EQ(head.host_name, "a.example");
  EXPECT_EQ(head.body.kind, BodyFraming::Kind::kLength);
  EXPECT_EQ(head.body.length, 3u);
  EXPECT_EQ(head.count, 3u);
}

TEST(RequestHead, LimitsSizeAndNumberOfHeaders) {
  string hundred, one_more;
  for (int i = 0; i < 99; ++i) hundred += "A: b\r\n";
  one_more = hundred + "A: b\r\n";
  const string start = "GET / HTTP/1.1\r\nHost: a\r\n";

  EXPECT_EQ(status_of(start + hundred + "\r\n"), 200);
  EXPECT_EQ(status_of(start + one_more + "\r\n"), 431);
  EXPECT_EQ(status_of(start + "X: " + string(kHeadBytesMax, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of(start + "X: " + string(kHeadBytesMax, 'a')), 431);
  const string frame = start + "X: \r\n\r\n";
  EXPECT_EQ(status_of(start + "X: " + string(kHeadBytesMax - frame.size(), 'a') + "\r\n\r\n"), 200);
  EXPECT_EQ(status_of(start + "X: " + string(kHeadBytesMax - frame.size() + 1, 'a') + "\r\n\r\n"), 431);
}

TEST(RequestHead, KnowsWhetherTheConnectionStays) {
  const auto keeps = [](const string& bytes) {
    RequestHead head;
    EXPECT_EQ(parse_request_head(bytes, head).state, ParseState::kComplete);
    return head.keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"));
}

TEST(RequestHead, UpgradesOnlyWhenBothHeadersSaySoAndNotInOldHttp) {
  const auto upgrades = [](const string& version, const string& lines) {
    RequestHead head;
    EXPECT_EQ(parse_request_head("GET / " + version + "\r\nHost: a\r\n" + lines + "\r\n", head).state,
              ParseState::kComplete);
    return head.wants_upgrade();
  };
  EXPECT_TRUE(upgrades("HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_FALSE(upgrades("HTTP/1.1", "Upgrade: websocket\r\n"));
  EXPECT_FALSE(upgrades("HTTP/1.1", "Connection: Upgrade\r\n"));
  EXPECT_FALSE(upgrades("HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
}

TEST(HeadScanner, FindsTheEndHoweverTheBytesCome) {
  const string good = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t cut = 0; cut <= good.size(); ++cut) {
    HeadScanner scanner;
    const auto first = scanner.scan(good.substr(0, cut));
    EXPECT_EQ(first.state, cut == good.size() ? ParseState::kComplete : ParseState::kIncomplete) << cut;
    if (cut == good.size()) continue;
    EXPECT_EQ(scanner.scan(good).state, ParseState::kComplete) << cut;
  }
}

TEST(HeadScanner, RejectsABareLfAtOnceAndAHeadWithoutEnd) {
  HeadScanner scanner;
  EXPECT_EQ(scanner.scan("GET / HTTP/1.1\n").status, 400);
  HeadScanner endless;
  EXPECT_EQ(endless.scan(string(kHeadBytesMax, 'a')).status, 431);
}

}  // namespace
}  // namespace flynn::router
