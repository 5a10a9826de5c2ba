#include "sink_config.h"

#include <algorithm>
#include <charconv>

namespace flynn::logs {
namespace {

constexpr std::string_view kPlain = "syslog://", kTls = "syslog+tls://";
constexpr std::uint16_t kPlainPort = 514, kTlsPort = 6514;
constexpr std::size_t kHostSizeMax = 253;

Error bad_url(std::string_view url, std::string_view why) {
  return Error{Code::invalid_argument, "url \"" + std::string(url) + "\": " + std::string(why) +
                                           "; give syslog://HOST[:PORT] or syslog+tls://HOST[:PORT]"};
}

// What is in a name or an address. It becomes an argument of a program, so it must not look like an option either.
bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kHostSizeMax && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view(".-_:%").find(c) != std::string_view::npos;
         });
}

Result<void> take_url(std::string_view url, SinkConfig& config) {
  config.tls = url.starts_with(kTls);
  if (!config.tls && !url.starts_with(kPlain)) return bad_url(url, "no such scheme");
  config.port = config.tls ? kTlsPort : kPlainPort;
  auto rest = url.substr(config.tls ? kTls.size() : kPlain.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest, port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad_url(url, "a bracket is open");
    host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
    if (!port.empty() && port.front() != ':') return bad_url(url, "after the bracket a port must come");
  } else if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) return bad_url(url, "an IPv6 address stands in brackets");
  }
  if (!is_host(host)) return bad_url(url, "the host is none");
  config.host = host;
  if (port.empty()) return {};
  const auto digits = port.substr(1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), config.port);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || config.port == 0)
    return bad_url(url, "the port is none");
  return {};
}

}  // namespace

std::string SinkConfig::endpoint() const {
  const bool bare = host.find(':') == std::string::npos;
  return (bare ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<SinkConfig> sink_config_of(const json::object& config) {
  SinkConfig read;
  auto url = require_string(config, "url");
  if (!url) return url.error();
  if (auto taken = take_url(*url, read); !taken) return taken.error();
  read.insecure = bool_or(config, "insecure");
  read.style.prefix = clean_text(string_or(config, "template"));
  read.style.use_ids = bool_or(config, "use_ids");
  read.style.structured_data = bool_or(config, "structured_data");
  const auto format = string_or(config, "format");
  if (format == "newline") {
    read.style.format = SyslogFormat::newline;
  } else if (!format.empty() && format != "rfc6587") {
    return Error{Code::invalid_argument, "format \"" + format + R"(" is neither "rfc6587" nor "newline")"};
  }
  return read;
}

}  // namespace flynn::logs
