#include "sink_config.h"

#include <gtest/gtest.h>

namespace flynn::logs {
namespace {

std::string read(const std::string& url) {
  const auto config = sink_config_of({{"url", url}});
  return config ? (config->tls ? "tls " : "tcp ") + config->endpoint() : "refused";
}

TEST(SinkConfig, ReadsUrls) {
  EXPECT_EQ(read("syslog://logs.example.com"), "tcp logs.example.com:514");
  EXPECT_EQ(read("syslog://logs.example.com:1514/"), "tcp logs.example.com:1514");
  EXPECT_EQ(read("syslog+tls://logs.example.com"), "tls logs.example.com:6514");
  EXPECT_EQ(read("syslog+tls://10.0.0.1:6515"), "tls 10.0.0.1:6515");
  EXPECT_EQ(read("syslog://[::1]:99"), "tcp [::1]:99");
}

TEST(SinkConfig, RefusesOtherUrls) {
  for (const auto* url : {"", "logs.example.com:514", "udp://h:1", "syslog://", "syslog://:514", "syslog://h:",
                          "syslog://h:0", "syslog://h:65536", "syslog://h:1x", "syslog://-h:1", "syslog://user@h:1",
                          "syslog://h/path", "syslog://::1", "syslog://[::1", "syslog://[::1]x", "syslog://h h"})
    EXPECT_EQ(read(url), "refused") << url;
}

TEST(SinkConfig, ReadsTheStyle) {
  const auto config = sink_config_of({{"url", "syslog+tls://h"},
                                      {"template", "[prod]"},
                                      {"use_ids", true},
                                      {"insecure", true},
                                      {"structured_data", true},
                                      {"format", "newline"}});

  ASSERT_TRUE(config);
  EXPECT_TRUE(config->insecure);
  EXPECT_EQ(config->style, (SyslogStyle{"[prod]", true, true, SyslogFormat::newline}));
  EXPECT_EQ(sink_config_of({{"url", "syslog://h"}})->style, SyslogStyle{});
  EXPECT_EQ(sink_config_of({{"url", "syslog://h"}, {"format", "rfc6587"}})->style, SyslogStyle{});
  EXPECT_EQ(sink_config_of({{"url", "syslog://h"}, {"format", "gelf"}}).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace flynn::logs
