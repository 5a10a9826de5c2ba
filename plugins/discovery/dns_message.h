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

inline constexpr std::uint16_t kTypeA = 1, kTypeSoa = 6, kTypeAaaa = 28, kTypeSrv = 33, kTypeOpt = 41, kTypeAny = 255;
inline constexpr std::uint16_t kClassIn = 1;
/// What a client can take by UDP when it says nothing (RFC 1035), and the most that crosses networks unbroken.
inline constexpr std::size_t kUdpBytesDefault = 512, kUdpBytesMax = 1232, kTcpBytesMax = 65535;

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
  bool extended = false;  // it has an OPT record (RFC 6891)
  std::size_t udp_bytes_max = kUdpBytesDefault;
};

/// A standard query with one question. invalid_argument for anything else: an answer, no or several questions, a name
/// that is cut, too long or compressed.
Result<DnsQuery> parse_dns_query(std::string_view message);

struct DnsRecord {
  std::string name;  // encoded; empty: the question's
  std::uint16_t type = 0;
  std::uint32_t ttl_s = 0;
  std::string data;
};

struct DnsReply {
  DnsCode code = DnsCode::no_error;
  std::vector<DnsRecord> answers, authority, additional;
};

/// The reply to `query`, which was parsed from `message`, at most `bytes_max` long: records that do not fit are left
/// out, and answers left out set the truncation bit.
std::string dns_reply(std::string_view message, const DnsQuery& query, const DnsReply& reply, std::size_t bytes_max);

/// "a.b" as labels; each is cut to the 63 bytes that one may have.
std::string encode_name(std::string_view name);
void put_u16(std::string& out, unsigned value);

/// "10.1.2.3", or "10.1.2.3:80", as bytes; invalid_argument otherwise.
Result<Ipv4> parse_ipv4(std::string_view text);

}  // namespace flynn::discovery
