// DNS messages (RFC 1035 section 4), as much as a resolver for `*.discoverd` needs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::discovery {

using Ipv4 = std::array<std::uint8_t, 4>;

inline constexpr std::uint16_t kTypeA = 1, kClassIn = 1;

enum class DnsCode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5
};

struct DnsQuery {
  std::uint16_t id = 0;
  std::string name;  // lower case, without the final dot
  std::uint16_t type = 0, klass = 0;
  std::size_t question_end = 0;  // offset in the message
  bool recursion_desired = false;
};

/// A standard query with one question. invalid_argument for anything else: an answer, no or several questions, a name
/// that is cut, too long or compressed.
Result<DnsQuery> parse_dns_query(std::string_view message);

/// The answer to `query`, which was parsed from `message`: one A record each, `ttl_s` seconds to keep.
std::string dns_answer(std::string_view message, const DnsQuery& query, DnsCode code,
                       const std::vector<Ipv4>& addresses, std::uint32_t ttl_s);

/// "10.1.2.3", or "10.1.2.3:80", as bytes; invalid_argument otherwise.
Result<Ipv4> parse_ipv4(std::string_view text);

/// Of "web.discoverd" the service web; of "leader.web.discoverd" its leader. Empty service: not a name of ours.
struct ServiceName {
  std::string service;
  bool leader = false;
};
inline constexpr std::string_view kDomain = "discoverd";
bool in_our_domain(std::string_view name);
ServiceName service_of_name(std::string_view name);

}  // namespace flynn::discovery
