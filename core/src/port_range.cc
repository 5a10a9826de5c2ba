#include "port_range.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace flynn::core {
namespace {

constexpr std::size_t kNameBytesMax = 64;

bool is_numeric_host(const std::string& host) {
  in6_addr address{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address) == 1;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1;
}

}  // namespace

bool PortRange::is_meant_by(std::string_view text) {
  const auto colon = text.rfind(':');
  return colon != std::string_view::npos && text.find('-', colon) != std::string_view::npos;
}

Result<PortRange> PortRange::parse(const std::string& text) {
  const auto wrong = [&](const std::string& why) {
    return Error{Code::invalid_argument, "\"" + text + "\" is no ADDRESS:FIRST-LAST: " + why};
  };
  const auto colon = text.rfind(':'), dash = text.find('-', std::min(colon, text.size()));
  if (colon == std::string::npos || dash == std::string::npos) return wrong("there is no range of ports");
  PortRange range;
  range.host = text.substr(0, colon);
  if (!is_numeric_host(range.host)) return wrong("the address must be numeric, as 0.0.0.0 or [::]");
  const auto first = parse_port(std::string_view(text).substr(colon + 1, dash - colon - 1));
  const auto last = parse_port(std::string_view(text).substr(dash + 1));
  if (!first || !last) return wrong("a port is a number from 1 to 65535 without leading zeros");
  if (*first > *last) return wrong("the first port is above the last");
  range.first = *first;
  range.last = *last;
  if (range.size() > kRangePortsMax)
    return wrong("it has " + std::to_string(range.size()) + " ports, at most " + std::to_string(kRangePortsMax));
  return range;
}

std::string PortRange::ports_text() const { return std::to_string(first) + "-" + std::to_string(last); }

Result<std::uint16_t> PortRange::port_of(std::string_view text) const {
  const auto port = parse_port(text);
  if (!port)
    return Error{Code::invalid_argument,
                 "\"" + std::string(text.substr(0, 16)) + "\" is no port: name one of " + ports_text()};
  if (*port < first || *port > last)
    return Error{Code::not_found, "port " + std::to_string(*port) + " is not in the range " + ports_text()};
  return *port;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  if (text.empty() || text.front() == '0') return std::nullopt;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_range_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

std::optional<RangedName> parse_ranged_name(std::string_view name) {
  const auto colon = name.rfind(':');
  if (colon == std::string_view::npos || !is_range_name(name.substr(0, colon))) return std::nullopt;
  const auto port = parse_port(name.substr(colon + 1));
  if (!port) return std::nullopt;
  return RangedName{std::string(name.substr(0, colon)), *port};
}

}  // namespace flynn::core
