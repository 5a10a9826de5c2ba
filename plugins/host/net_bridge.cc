#include "net_bridge.h"

#include <nftables/libnftables.h>

#include <memory>

#include "files.h"
#include "route_socket.h"

namespace flynn::host {
namespace {

Result<void> run_nft(const std::string& commands) {
  std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context(nft_ctx_new(NFT_CTX_DEFAULT), &nft_ctx_free);
  if (!context) return Error{Code::resource_exhausted, "out of memory for nftables"};
  nft_ctx_buffer_output(context.get());
  nft_ctx_buffer_error(context.get());
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  std::string words = nft_ctx_get_error_buffer(context.get());
  if (words.size() > 300) words.resize(300);
  return Error{Code::failed_precondition, "nftables: " + words};
}

}  // namespace

std::string table_name(const std::string& host_id) {
  std::string name = "flynn_";
  for (char c : host_id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += plain ? c : '_';
  }
  return name;
}

Result<void> ensure_bridge(const BridgeOptions& options) {
  auto socket = RouteSocket::open();
  if (!socket) return socket.error();
  if (socket->link_index(options.name) == 0) {
    if (auto made = socket->add_bridge(options.name); !made) return made;
  }
  if (auto done = socket->add_address(options.name, options.subnet.gateway(), options.subnet.bits); !done) return done;
  if (auto done = socket->set_up(options.name); !done) return done;
  return write_control("/proc/sys/net/ipv4/ip_forward", "1");
}

std::string packet_rules(const BridgeOptions& options) {
  const auto bridge = "\"" + options.name + "\"";
  std::string ports;
  for (const auto port : options.host_ports_allowed) ports += (ports.empty() ? "" : ", ") + std::to_string(port);
  // "add" before "delete" makes the deletion valid when there is no table yet.
  std::string text = "add table inet " + options.table + "\ndelete table inet " + options.table + "\ntable inet " +
                     options.table +
                     " {\n  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n"
                     "    ip saddr " +
                     options.subnet.text() + " oifname != " + bridge +
                     " masquerade\n  }\n"
                     "  chain input {\n    type filter hook input priority filter; policy accept;\n"
                     "    iifname " +
                     bridge +
                     " ct state established,related accept\n"
                     "    iifname " +
                     bridge + " icmp type echo-request accept\n";
  if (!ports.empty())
    text += "    iifname " + bridge + " meta l4proto { tcp, udp } th dport { " + ports + " } accept\n";
  // 169.254.169.254 is where clouds hand out the machine's own credentials.
  text += "    iifname " + bridge +
          " drop\n  }\n"
          "  chain forward {\n    type filter hook forward priority filter; policy accept;\n"
          "    iifname " +
          bridge + " ip daddr 169.254.0.0/16 drop\n  }\n}\n";
  return text;
}

Result<void> ensure_packet_rules(const BridgeOptions& options) { return run_nft(packet_rules(options)); }

Result<void> remove_bridge(const std::string& name, const std::string& table) {
  auto socket = RouteSocket::open();
  if (!socket) return socket.error();
  Result<void> outcome;
  if (const int index = socket->link_index(name); index != 0) {
    for (const auto& link : socket->links_of_bridge(index)) {
      if (auto done = socket->delete_link(link); !done) outcome = done;
    }
    if (auto done = socket->delete_link(name); !done) outcome = done;
  }
  if (auto done = run_nft("add table inet " + table + "\ndelete table inet " + table + "\n"); !done && outcome)
    outcome = done;
  return outcome;
}

}  // namespace flynn::host
