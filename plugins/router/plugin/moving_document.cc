#include "plugin/moving_document.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/socket.h"
#include "flynn/sdk/json.h"
#include "plugin/base64.h"

namespace flynn::router {
namespace {

constexpr std::int64_t kVersion = 1, kVersionWithTcp = 2;
constexpr std::int64_t kTimeoutMsMax = 86'400'000;
constexpr std::int64_t kCountMax = 1LL << 62;

void put_bytes(json::object& out, std::string_view key, const std::string& bytes) {
  if (!bytes.empty()) out[key] = encode_base64(bytes);
}

json::object write_record(const TcpRecord& record) {
  return {{"route", record.route},
          {"app", record.app_id},
          {"port", record.port},
          {"age_ms", record.age_ms},
          {"connect_ms", record.connect_ms},
          {"bytes_in", record.bytes_in},
          {"bytes_out", record.bytes_out},
          {"client_ended_first", record.client_ended_first}};
}

int port_in(const json::object& from) {
  return static_cast<int>(std::clamp<std::int64_t>(int_or(from, "port"), 0, 65'535));
}

TcpRecord read_record(const json::object& from) {
  const auto count = [&](const char* name) { return std::clamp<std::int64_t>(int_or(from, name), 0, kCountMax); };
  TcpRecord record;
  record.route = string_or(from, "route");
  record.app_id = string_or(from, "app");
  record.port = port_in(from);
  record.age_ms = count("age_ms");
  record.connect_ms = std::min(count("connect_ms"), record.age_ms);
  record.bytes_in = static_cast<std::uint64_t>(count("bytes_in"));
  record.bytes_out = static_cast<std::uint64_t>(count("bytes_out"));
  record.client_ended_first = bool_or(from, "client_ended_first");
  return record;
}

json::object write_one(const MovingConnection& moving) {
  json::object out{{"ip", moving.ip}, {"timeout_ms", moving.timeout_ms}};
  put_bytes(out, "received", moving.received);
  if (moving.tcp)
    out["tcp"] = json::object{{"service", moving.tcp->service},
                              {"leader", moving.tcp->leader},
                              {"route", moving.tcp->route},
                              {"app", moving.tcp->app_id},
                              {"port", moving.tcp->port}};
  if (!moving.is_tunnel()) return out;
  json::object tunnel{{"service", moving.service},
                      {"instance", moving.instance},
                      {"addr", moving.addr},
                      {"client_ended", moving.client_ended},
                      {"upstream_ended", moving.upstream_ended}};
  // A reader of before passes over it, and writes no line at the end.
  if (moving.record) tunnel["tcp"] = write_record(*moving.record);
  put_bytes(tunnel, "to_client", moving.to_client);
  put_bytes(tunnel, "to_upstream", moving.to_upstream);
  out["tunnel"] = std::move(tunnel);
  return out;
}

Error malformed(const std::string& what) { return Error{Code::invalid_argument, "the list of connections: " + what}; }

Result<void> get_bytes(const json::object& from, std::string_view key, std::string& bytes) {
  const auto text = find_string(from, key);
  if (!text) return {};
  auto decoded = decode_base64(*text);
  if (!decoded) return malformed(std::string(key) + " is not base64");
  if (decoded->size() > kBlockBytes) return malformed(std::string(key) + " is longer than a buffer");
  bytes = std::move(*decoded);
  return {};
}

/// Hands out the descriptors of a call in order.
class Descriptors {
 public:
  explicit Descriptors(std::vector<UniqueFd>& fds) : fds_(fds) {}

  Result<UniqueFd> next() {
    if (at_ == fds_.size()) return malformed("fewer descriptors than connections need");
    UniqueFd fd = std::move(fds_[at_++]);
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
      return malformed("descriptor " + std::to_string(at_ - 1) + " is not a stream socket");
    // A loop must never block on it, whoever made it.
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0))
      return malformed("descriptor " + std::to_string(at_ - 1) + " can't be made non-blocking");
    return fd;
  }
  [[nodiscard]] bool all_used() const { return at_ == fds_.size(); }

 private:
  std::vector<UniqueFd>& fds_;
  std::size_t at_ = 0;
};

Result<void> read_tunnel(const json::object& from, MovingConnection& moving, Descriptors& fds) {
  auto upstream = fds.next();
  if (!upstream) return upstream.error();
  moving.upstream = std::move(*upstream);
  moving.service = string_or(from, "service");
  moving.instance = string_or(from, "instance");
  moving.addr = string_or(from, "addr");
  moving.client_ended = bool_or(from, "client_ended");
  moving.upstream_ended = bool_or(from, "upstream_ended");
  if (const auto* record = find_object(from, "tcp")) moving.record = read_record(*record);
  if (auto got = get_bytes(from, "to_client", moving.to_client); !got) return got;
  return get_bytes(from, "to_upstream", moving.to_upstream);
}

Result<MovingConnection> read_one(const json::value& entry, Descriptors& fds) {
  const auto* from = entry.if_object();
  if (from == nullptr) return malformed("an entry is no object");
  MovingConnection moving;
  auto client = fds.next();
  if (!client) return client.error();
  moving.client = std::move(*client);
  auto ip = require_string(*from, "ip");
  if (!ip) return ip.error();
  moving.ip = std::move(*ip);
  moving.timeout_ms =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(int_or(*from, "timeout_ms"), 0, kTimeoutMsMax));
  if (auto got = get_bytes(*from, "received", moving.received); !got) return got.error();
  if (const auto* tcp = find_object(*from, "tcp")) {
    auto service = require_string(*tcp, "service");
    if (!service) return service.error();
    moving.tcp = TcpTarget{std::move(*service), bool_or(*tcp, "leader"), string_or(*tcp, "route"),
                           string_or(*tcp, "app"), port_in(*tcp)};
  }
  if (const auto* tunnel = find_object(*from, "tunnel"))
    if (auto got = read_tunnel(*tunnel, moving, fds); !got) return got.error();
  return moving;
}

}  // namespace

Reply write_moving(Outbox::Batch batch, const std::string& port) {
  Reply reply;
  json::array list;
  const bool tcp = std::any_of(batch.connections.begin(), batch.connections.end(),
                               [](const auto& moving) { return moving.tcp.has_value(); });
  for (auto& moving : batch.connections) {
    list.push_back(write_one(moving));
    const bool tunnel = moving.is_tunnel();
    reply.fds.push_back(std::move(moving.client));
    if (tunnel) reply.fds.push_back(std::move(moving.upstream));
  }
  reply.body = {
      {"v", tcp ? kVersionWithTcp : kVersion}, {"port", port}, {"left", batch.left}, {"connections", std::move(list)}};
  return reply;
}

Result<MovingList> read_moving(Call& call) {
  const auto version = find_int(call.body, "v");
  if (!version || (*version != kVersion && *version != kVersionWithTcp))
    return malformed("it is of version " + (version ? std::to_string(*version) : std::string("(none)")) +
                     ", this router reads versions 1 and 2; its connections must be drained");
  const auto* list = find_array(call.body, "connections");
  if (list == nullptr) return malformed("connections is missing");
  MovingList read;
  read.port = string_or(call.body, "port");
  unsigned port = 0;
  const char* end = read.port.data() + read.port.size();
  if (const auto got = std::from_chars(read.port.data(), end, port); got.ptr != end || port > 65535)
    return malformed("port is no number");
  Descriptors fds(call.fds);
  for (const auto& entry : *list) {
    auto moving = read_one(entry, fds);
    if (!moving) return moving.error();
    read.connections.push_back(std::move(*moving));
  }
  if (!fds.all_used()) return malformed("more descriptors than connections need");
  return read;
}

}  // namespace flynn::router
