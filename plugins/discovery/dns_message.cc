#include "dns_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace flynn::discovery {
namespace {

constexpr std::size_t kHeaderBytes = 12, kNameBytesMax = 255, kLabelBytesMax = 63;

std::uint16_t u16(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(text[at]) << 8) |
                                    static_cast<unsigned char>(text[at + 1]));
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

std::string record_text(const DnsRecord& record) {
  std::string out = record.name;
  if (out.empty()) put_u16(out, 0xc000 | kHeaderBytes);  // the question's name
  put_u16(out, record.type);
  put_u16(out, kClassIn);
  put_u16(out, record.ttl_s >> 16);
  put_u16(out, record.ttl_s & 0xffff);
  put_u16(out, static_cast<unsigned>(record.data.size()));
  return out + record.data;
}

// Of an OPT record that follows the question alone, as clients send it: what they can take.
void read_extension(std::string_view message, DnsQuery& query) {
  const auto at = query.question_end;
  if (u16(message, 10) == 0 || message.size() < at + 11 || message[at] != '\0' || u16(message, at + 1) != kTypeOpt)
    return;
  query.extended = true;
  query.udp_bytes_max = std::clamp<std::size_t>(u16(message, at + 3), kUdpBytesDefault, kUdpBytesMax);
}

}  // namespace

void put_u16(std::string& out, unsigned value) {
  out += static_cast<char>((value >> 8) & 0xff);
  out += static_cast<char>(value & 0xff);
}

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
  read_extension(message, query);
  return query;
}

std::string encode_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    const auto label = name.substr(0, std::min(dot, kLabelBytesMax));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return out + '\0';
}

std::string dns_reply(std::string_view message, const DnsQuery& query, const DnsReply& reply, std::size_t bytes_max) {
  std::string body(message.substr(kHeaderBytes, query.question_end - kHeaderBytes));
  // No name, type OPT, our own limit, nothing else.
  const std::string extension = query.extended ? std::string("\0\0\x29\x04\xd0\0\0\0\0\0\0", 11) : std::string();
  const auto room = bytes_max - kHeaderBytes - extension.size();
  bool truncated = false;
  const auto add = [&](const std::vector<DnsRecord>& records, bool needed) {
    unsigned count = 0;
    for (const auto& record : records) {
      const auto text = record_text(record);
      if (body.size() + text.size() > room) {
        truncated = truncated || needed;
        break;
      }
      body += text;
      ++count;
    }
    return count;
  };
  const auto answers = add(reply.answers, true), authority = add(reply.authority, false);
  auto additional = add(reply.additional, false);
  if (query.extended) {
    body += extension;
    ++additional;
  }
  std::string out;
  put_u16(out, query.id);
  // An answer, authoritative, recursion available.
  put_u16(out, 0x8480u | (query.recursion_desired ? 0x0100u : 0u) | (truncated ? 0x0200u : 0u) |
                   static_cast<unsigned>(reply.code));
  put_u16(out, 1);
  for (const auto count : {answers, authority, additional}) put_u16(out, count);
  return out + body;
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

}  // namespace flynn::discovery
