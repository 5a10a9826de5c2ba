#include "http/body_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace flynn::router {
namespace {

using std::string;

struct Outcome {
  string data;
  string rest;
  bool done = false;
  bool error = false;
};

// Feeds `input` in pieces of `step` bytes.
Outcome read(BodyFraming framing, const string& input, std::size_t step) {
  BodyReader reader;
  reader.start(framing);
  Outcome outcome;
  std::size_t at = 0;
  outcome.done = reader.done();
  while (at < input.size() && !outcome.done && !outcome.error) {
    string piece = input.substr(at, step);
    const auto result = reader.decode(piece.data(), piece.size());
    outcome.data += piece.substr(0, result.produced);
    outcome.done = result.done;
    outcome.error = result.error != nullptr;
    if (!outcome.error && !outcome.done) {
      EXPECT_EQ(result.consumed, piece.size());
    }
    at += result.consumed;
  }
  outcome.rest = input.substr(at);
  return outcome;
}

constexpr BodyFraming kChunked{BodyFraming::Kind::kChunked, 0};

TEST(BodyReader, TakesTheChunksOffAndStopsAtTheNextMessage) {
  const string body = "5\r\nhello\r\n1;a=b\r\n \r\n00A;n;q=\"x\\\"y\"\r\n0123456789\r\n0\r\nX-T: v\r\n\r\n";
  for (std::size_t step = 1; step <= body.size() + 4; ++step) {
    const auto outcome = read(kChunked, body + "GET ", step);

    EXPECT_TRUE(outcome.done) << step;
    EXPECT_FALSE(outcome.error) << step;
    EXPECT_EQ(outcome.data, "hello 0123456789") << step;
    EXPECT_EQ(outcome.rest, "GET ") << step;
  }
}

TEST(BodyReader, RejectsEveryOtherFormOfChunk) {
  const std::pair<const char*, string> cases[] = {
      {"SMUG-CHUNK-BARE-SEMICOLON", "5;\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-EXT-INVALID-TOKEN", "5;a(=b\r\nhello\r\n0\r\n\r\n"},
      {"extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n"},
      {"extension after a quoted value", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-UNDERSCORE", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-HEX-PREFIX", "0x5\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-SIZE-PLUS", "+5\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-NEGATIVE", "-1\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-SIZE-TRAILING-OWS", "5 \r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-LEADING-SP", " 5\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-MISSING-TRAILING-CRLF", "5\r\nhello0\r\n\r\n"},
      {"SMUG-CHUNK-SPILL", "4\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-LF-TERM", "5\r\nhello\n0\r\n\r\n"},
      {"size line ended by LF", "5\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-BARE-CR-TERM", "5\rhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-EXT-LF", "5;a\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-EXT-CR", "5;a\rb\r\nhello\r\n0\r\n\r\n"},
      {"SMUG-CHUNK-EXT-CTRL", "5;a\x01\r\nhello\r\n0\r\n\r\n"},
      {"control byte in a quoted extension", "5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n"},
      {"empty size", "\r\nhello\r\n0\r\n\r\n"},
      {"size that wraps at 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"size of 16 zeros", "0000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"NUL after the size", string("5\0\r\nhello\r\n0\r\n\r\n", 16)},
      {"SMUG-CHUNK-LF-TRAILER", "0\r\nX: y\n\r\n"},
      {"LF as the end", "0\r\n\n"},
      {"CR without LF at the end", "0\r\n\rX"},
      {"trailer without a name", "0\r\n: y\r\n\r\n"},
      {"folded trailer", "0\r\nX: y\r\n z\r\n\r\n"},
      {"NUL in a trailer", string("0\r\nX: \0\r\n\r\n", 11)},
      {"endless extension", "5;" + string(300, 'a') + "\r\nhello\r\n0\r\n\r\n"},
      {"endless trailers", "0\r\nX: " + string(9000, 'a') + "\r\n\r\n"},
  };
  for (const auto& [name, body] : cases) {
    EXPECT_TRUE(read(kChunked, body, body.size()).error) << name;
    EXPECT_TRUE(read(kChunked, body, 1).error) << name << ", byte by byte";
  }
}

TEST(BodyReader, CountsALength) {
  for (std::size_t step = 1; step < 8; ++step) {
    const auto outcome = read({BodyFraming::Kind::kLength, 5}, "helloGET", step);
    EXPECT_TRUE(outcome.done);
    EXPECT_EQ(outcome.data, "hello");
    EXPECT_EQ(outcome.rest, "GET");
  }
  EXPECT_FALSE(read({BodyFraming::Kind::kLength, 6}, "hello", 5).done);
  EXPECT_TRUE(read({BodyFraming::Kind::kNone, 0}, "GET", 5).done);
}

TEST(BodyReader, TakesAllUntilTheConnectionCloses) {
  const auto outcome = read({BodyFraming::Kind::kUntilClose, 0}, "anything 0\r\n\r\n", 3);
  EXPECT_FALSE(outcome.done);
  EXPECT_EQ(outcome.data, "anything 0\r\n\r\n");
}

}  // namespace
}  // namespace flynn::router
