// A message of an app's log as syslog sends it: RFC 5424 text in RFC 6587 framing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "log_message.h"

namespace flynn::logs {

enum class SyslogFormat { octet_counted, newline };

struct SyslogStyle {
  std::string prefix;  // stands before each message, with a space between
  bool use_ids = false;
  bool structured_data = false;
  SyslogFormat format = SyslogFormat::octet_counted;
  bool operator==(const SyslogStyle&) const = default;
};

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG`, framed by its length in bytes or by a newline. Fields of
/// the header are printable ASCII, whatever was in the message; with newline framing the text has no line break. Pure.
std::string syslog_frame(const Message& message, std::string_view app_name, const SyslogStyle& style);

/// Of a line as it is stored, without its newline; nullopt when that is no message.
std::optional<std::string> syslog_frame_of_line(std::string_view line, std::string_view app_name,
                                                const SyslogStyle& style);

}  // namespace flynn::logs
