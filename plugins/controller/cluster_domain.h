/// The cluster's domain, which `PUT /domain` changes while requests run (docs/decisions/0023-domain-migration.md).
///
/// The truth is the store's key `cluster/config`, read each time: no copy in memory can be older than a migration, nor
/// differ between two instances of this plugin. Until bootstrap has written it, it is what is configured. Thread:
/// [any].
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "context.h"

namespace flynn::controller {

inline constexpr const char* kClusterConfigKey = "cluster/config";
/// How many earlier domains stay in the certificate, and closed to keys of one app.
inline constexpr std::size_t kFormerDomainsMax = 8;

struct ClusterDomains {
  std::string current;
  std::vector<std::string> former;  // the latest first; their routes are still there
};

Outcome<ClusterDomains> cluster_domains(Context& context);
/// From the value of `cluster/config`.
ClusterDomains domains_of(const json::object& config, const std::string& otherwise);
/// What they are when the cluster moves to `domain`.
ClusterDomains moved_to(const ClusterDomains& domains, const std::string& domain);
void write_domains(const ClusterDomains& domains, json::object& config);

/// Names of hosts are compared in lower case.
std::string lower(std::string text);
/// True for `domain` itself and all names below.
bool is_of_domain(std::string_view name, std::string_view domain);
/// The most specific of the cluster's domains that `name` is of; empty when there is none.
std::string domain_above(const ClusterDomains& domains, std::string_view name);

}  // namespace flynn::controller
