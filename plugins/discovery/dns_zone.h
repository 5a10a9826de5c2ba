// The zone `discoverd.`: what a name of ours means, and the answer to a question for it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "dns_message.h"
#include "registry.h"

namespace flynn::discovery {

inline constexpr std::string_view kDomain = "discoverd";
bool in_our_domain(std::string_view name);

/// `web.discoverd`, `leader.web.discoverd`, `_web._tcp.discoverd` (RFC 2782: the instances with that proto) and
/// `ID.web._i.discoverd` (one instance). Empty service: not a name of ours.
struct ZoneName {
  std::string service;
  bool leader = false;
  std::string proto, id;
};
ZoneName zone_name(std::string_view name);

/// What is known of a service. Thread: [any].
using ServiceLookup = std::function<ServiceView(const std::string& service)>;

/// A, AAAA, SRV and ANY. NXDOMAIN for what is no service or has no leader; an empty answer with the SOA where only the
/// type does not fit. At most `bytes_max` long; what does not fit sets the truncation bit. Pure but for the lookup; the
/// order of the instances is shuffled by `turn`.
std::string zone_answer(std::string_view message, const DnsQuery& query, const ServiceLookup& lookup,
                        std::size_t bytes_max, unsigned turn);

}  // namespace flynn::discovery
