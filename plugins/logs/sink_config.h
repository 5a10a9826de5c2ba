// SinkConfig: what the store says of one sink.
#pragma once

#include <cstdint>
#include <string>

#include "flynn/sdk/json.h"
#include "syslog_frame.h"

namespace flynn::logs {

struct SinkConfig {
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 514;
  bool tls = false;
  bool insecure = false;  // TLS without looking at the certificate
  SyslogStyle style;

  std::string endpoint() const;  // "host:port", for people
  bool operator==(const SinkConfig&) const = default;
};

/// Of the member "config" of `sinks/<id>`. invalid_argument says what is wrong with it. Pure.
Result<SinkConfig> sink_config_of(const json::object& config);

}  // namespace flynn::logs
