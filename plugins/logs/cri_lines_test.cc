#include "cri_lines.h"

#include <gtest/gtest.h>

namespace flynn::logs {
namespace {

struct Seen {
  std::string stream, msg;
  std::uint64_t end, resume;
  bool operator==(const Seen&) const = default;
};

std::vector<Seen> read(CriLines& lines, std::string_view bytes) {
  std::vector<Seen> seen;
  lines.feed(bytes, [&](const CriLine& line, std::uint64_t end, std::uint64_t resume) {
    seen.push_back({line.stream, line.msg, end, resume});
  });
  return seen;
}

constexpr std::string_view kTime = "2026-01-31T12:00:00.123456789Z";

std::string cri(std::string_view stream, std::string_view tag, std::string_view text) {
  return std::string(kTime) + " " + std::string(stream) + " " + std::string(tag) + " " + std::string(text) + "\n";
}

TEST(CriLines, ReadsTimes) {
  EXPECT_EQ(time_of_cri("1970-01-01T00:00:01.5Z"), 1'500'000);
  EXPECT_EQ(time_of_cri("1970-01-01T01:00:00.000001+01:00"), 1);
  EXPECT_EQ(time_of_cri(kTime) % 1'000'000, 123456);
  EXPECT_EQ(time_of_cri("yesterday"), 0);
}

TEST(CriLines, JoinsPartsOfAStreamWhileTheOtherGoesOn) {
  const auto first = cri("stdout", "P", "hel"), between = cri("stderr", "F", "oops"), last = cri("stdout", "F", "lo");
  CriLines lines;

  const auto seen = read(lines, first + between + last);

  const auto after_between = first.size() + between.size(), end = after_between + last.size();
  EXPECT_EQ(seen, (std::vector<Seen>{{"stderr", "oops", after_between, 0}, {"stdout", "hello", end, end}}));
}

TEST(CriLines, GivesTheSameWhereverTheBytesAreCut) {
  const auto text =
      cri("stdout", "P", "a ") + cri("stderr", "P", "x") + cri("stdout", "F", "b") + cri("stderr", "F", "");
  CriLines whole;
  const auto expected = read(whole, text);
  ASSERT_EQ(expected.size(), 2u);

  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    CriLines lines;
    auto seen = read(lines, std::string_view(text).substr(0, cut));
    for (auto& more : read(lines, std::string_view(text).substr(cut))) seen.push_back(more);
    EXPECT_EQ(seen, expected) << "cut at " << cut;
    EXPECT_EQ(lines.offset(), text.size());
  }
}

TEST(CriLines, PassesOnWhatIsNotCri) {
  CriLines lines;
  const auto seen = read(lines, "conmon: something went wrong\n\n");

  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].msg, "conmon: something went wrong");
}

TEST(CriLines, BoundsALineThatNeverEnds) {
  CriLines lines;
  std::size_t longest = 0;
  const auto part = cri("stdout", "P", std::string(8000, 'x'));

  for (int i = 0; i < 100; ++i) EXPECT_TRUE(read(lines, part).empty());
  for (const auto& seen : read(lines, cri("stdout", "F", "end"))) longest = seen.msg.size();

  EXPECT_EQ(longest, kMessageBytesMax);
}

TEST(LogMessage, IsAlwaysValidJsonAndUtf8) {
  Message message;
  message.app_id = "a";
  for (const std::string_view hostile :
       {std::string_view("\xff\xfe\x00\x01", 4), std::string_view("\xc0\xaf"), std::string_view("\xed\xa0\x80"),
        std::string_view("\xf0\x9f\x98"), std::string_view("\"},{\"_\":[1,2,3]\n\r\\")}) {
    message.msg = hostile;
    const auto line = line_of(message, Mark{1, 2, 3});
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    std::string storage;
    const auto sent = without_mark(std::string_view(line).substr(0, line.size() - 1), storage);
    const auto document = parse_json_object(sent);
    ASSERT_TRUE(document.ok()) << sent;
    EXPECT_FALSE(document->contains("_"));
    EXPECT_EQ(string_or(*document, "msg"), clean_text(hostile));
  }
  EXPECT_EQ(clean_text("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
  EXPECT_EQ(clean_text(std::string(100'000, 'x')).size(), kMessageBytesMax);
}

}  // namespace
}  // namespace flynn::logs
