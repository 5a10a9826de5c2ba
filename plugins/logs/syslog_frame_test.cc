#include "syslog_frame.h"

#include <gtest/gtest.h>

namespace flynn::logs {
namespace {

Message given_message(const std::string& msg) {
  Message message;
  message.app_id = "0a1b";
  message.source = "app";
  message.stream = "stdout";
  message.process_type = "web";
  message.job_id = "h1-j1";
  message.host_id = "h1";
  message.msg = msg;
  message.timestamp_us = 1'769'860'800'100'020;  // 2026-01-31T12:00:00.100020Z
  return message;
}

// Without its length, which is checked on the way.
std::string text_of(const std::string& frame) {
  const auto space = frame.find(' ');
  EXPECT_EQ(frame.substr(0, space), std::to_string(frame.size() - space - 1));
  return frame.substr(space + 1);
}

TEST(SyslogFrame, IsRfc5424) {
  EXPECT_EQ(text_of(syslog_frame(given_message("hello"), "shop", {})),
            "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - hello");
}

TEST(SyslogFrame, CountsBytesNotCharacters) {
  EXPECT_EQ(syslog_frame(given_message("é€😀"), "shop", {}),
            "67 <14>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - é€😀");
}

TEST(SyslogFrame, StderrIsAnError) {
  auto message = given_message("oops");
  message.stream = "stderr";

  EXPECT_EQ(text_of(syslog_frame(message, "shop", {})),
            "<11>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - oops");
}

TEST(SyslogFrame, WhatIsMissingIsADash) {
  Message message;
  message.source.clear();

  EXPECT_EQ(text_of(syslog_frame(message, "", {})), "<14>1 - - - - - -");
}

TEST(SyslogFrame, AJobOrATypeAloneStandsWithoutADot) {
  auto of_router = given_message("x");
  of_router.source = "router";
  of_router.job_id.clear();
  auto of_job = given_message("x");
  of_job.process_type.clear();

  EXPECT_EQ(text_of(syslog_frame(of_router, "shop", {})), "<14>1 2026-01-31T12:00:00.100020Z h1 shop web router - x");
  EXPECT_EQ(text_of(syslog_frame(of_job, "shop", {})), "<14>1 2026-01-31T12:00:00.100020Z h1 shop h1-j1 app - x");
}

TEST(SyslogFrame, HeaderFieldsArePrintableAndOfLimitedSize) {
  auto message = given_message("x");
  message.host_id = "a b\nc";
  message.job_id = std::string(200, 'j');
  message.process_type = "w]\x7f";

  EXPECT_EQ(text_of(syslog_frame(message, "é" + std::string(60, 'n'), {})),
            "<14>1 2026-01-31T12:00:00.100020Z a_b_c __" + std::string(46, 'n') + " w]_." + std::string(124, 'j') +
                " app - x");
}

TEST(SyslogFrame, UsesTheIdWhenAskedTo) {
  SyslogStyle style;
  style.use_ids = true;

  EXPECT_EQ(text_of(syslog_frame(given_message("x"), "shop", style)),
            "<14>1 2026-01-31T12:00:00.100020Z h1 0a1b web.h1-j1 app - x");
}

TEST(SyslogFrame, PutsThePrefixBeforeTheMessage) {
  SyslogStyle style;
  style.prefix = "[prod]";

  EXPECT_EQ(text_of(syslog_frame(given_message("x"), "shop", style)),
            "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - [prod] x");
}

TEST(SyslogFrame, EscapesStructuredData) {
  SyslogStyle style;
  style.structured_data = true;
  auto message = given_message("x");
  message.process_type = R"(a"b\c]d)";

  EXPECT_EQ(text_of(syslog_frame(message, "shop", style)),
            R"(<14>1 2026-01-31T12:00:00.100020Z h1 shop a"b\c]d.h1-j1 app )"
            R"([flynn@32473 app="shop" job="h1-j1" type="a\"b\\c\]d"] x)");
}

TEST(SyslogFrame, ALineBreakBreaksNoFrame) {
  SyslogStyle style;
  style.prefix = "p\nq";
  style.structured_data = true;
  auto message = given_message(std::string("one\ntwo\r\nthree\0four", 19));
  message.job_id = "j\n1";

  EXPECT_EQ(text_of(syslog_frame(message, "shop", {})),
            "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.j_1 app - " + message.msg);
  style.format = SyslogFormat::newline;
  EXPECT_EQ(syslog_frame(message, "shop", style),
            "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.j_1 app [flynn@32473 app=\"shop\" job=\"j 1\" type=\"web\"] "
            "p q one two  three four\n");
}

TEST(SyslogFrame, IsMadeOfAStoredLine) {
  auto line = line_of(given_message("hello"), Mark{1, 2, 3});
  line.pop_back();

  const auto frame = syslog_frame_of_line(line, "shop", {});

  ASSERT_TRUE(frame);
  EXPECT_EQ(text_of(*frame), "<14>1 2026-01-31T12:00:00.100020Z h1 shop web.h1-j1 app - hello");
  EXPECT_FALSE(syslog_frame_of_line("no message", "shop", {}));
}

}  // namespace
}  // namespace flynn::logs
