#include "dns_message.h"

#include <arpa/inet.h>

#include <cstring>

namespace flynn::discovery {
namespace {

constexpr std::size_t kHeaderBytes = 12, kNameBytesMax = 255, kLabelBytesMax = 63;

std::uint16_t u16(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(text[at]) << 8) |
                                    static_cast<unsigned char>(text[at + 1]));
}

void put_u16(std::string& out, unsigned value) {
  out += static_cast<char>((value >> 8) & 0xff);
  out += static_cast<char>(value & 0xff);
}

Error bad(const char* why) { return Error{Code::invalid_argument, std::string("DNS message: ") + why}; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// A question has no name before it, so a compressed one is a trick.
Result<std::size_t> read_name(std::string_view message, std::size_t at, std::string& name) {
  while (true) {
    if (at >= message.size()) return bad("the name is cut");
    const auto length = static_cast<unsigned char>(message[at++]);
    if (length == 0) return at;
    if (length > kLabelBytesMax) return bad("the name is compressed");
    if (at + length > message.size()) return bad("the name is cut");
    if (!name.empty()) name += '.';
    for (std::size_t i = 0; i < length; ++i) name += lower(message[at + i]);
    if (name.size() > kNameBytesMax) return bad("the name is too long");
    at += length;
  }
}

}  // namespace

Result<DnsQuery> parse_dns_query(std::string_view message) {
  if (message.size() < kHeaderBytes) return bad("the header is cut");
  const auto flags = u16(message, 2);
  if ((flags & 0x8000) != 0) return bad("it is an answer");
  if ((flags & 0x7800) != 0) return bad("it is no standard query");
  if (u16(message, 4) != 1) return bad("it must have one question");
  DnsQuery query;
  query.id = u16(message, 0);
  query.recursion_desired = (flags & 0x0100) != 0;
  auto end = read_name(message, kHeaderBytes, query.name);
  if (!end) return end.error();
  if (*end + 4 > message.size()) return bad("the question is cut");
  query.type = u16(message, *end);
  query.klass = u16(message, *end + 2);
  query.question_end = *end + 4;
  return query;
}

std::string dns_answer(std::string_view message, const DnsQuery& query, DnsCode code,
                       const std::vector<Ipv4>& addresses, std::uint32_t ttl_s) {
  std::string out;
  put_u16(out, query.id);
  // An answer, authoritative, recursion available.
  put_u16(out, 0x8480u | (query.recursion_desired ? 0x0100u : 0u) | static_cast<unsigned>(code));
  put_u16(out, 1);
  put_u16(out, static_cast<unsigned>(addresses.size()));
  put_u16(out, 0);
  put_u16(out, 0);
  out += message.substr(kHeaderBytes, query.question_end - kHeaderBytes);
  for (const auto& address : addresses) {
    put_u16(out, 0xc000 | kHeaderBytes);  // the question's name
    put_u16(out, kTypeA);
    put_u16(out, kClassIn);
    put_u16(out, ttl_s >> 16);
    put_u16(out, ttl_s & 0xffff);
    put_u16(out, 4);
    for (const auto byte : address) out += static_cast<char>(byte);
  }
  return out;
}

Result<Ipv4> parse_ipv4(std::string_view text) {
  const std::string host(text.substr(0, text.find(':')));
  in_addr parsed{};
  if (::inet_pton(AF_INET, host.c_str(), &parsed) != 1)
    return Error{Code::invalid_argument, "\"" + host + "\" is no IPv4 address"};
  Ipv4 address{};
  std::memcpy(address.data(), &parsed.s_addr, address.size());
  return address;
}

bool in_our_domain(std::string_view name) {
  return name == kDomain ||
         (name.size() > kDomain.size() + 1 && name.ends_with(kDomain) && name[name.size() - kDomain.size() - 1] == '.');
}

ServiceName service_of_name(std::string_view name) {
  if (!in_our_domain(name) || name == kDomain) return {};
  name.remove_suffix(kDomain.size() + 1);
  constexpr std::string_view prefix = "leader.";
  const bool leader = name.starts_with(prefix);
  if (leader) name.remove_prefix(prefix.size());
  if (name.find('.') != std::string_view::npos) return {};
  return {std::string(name), leader};
}

}  // namespace flynn::discovery
