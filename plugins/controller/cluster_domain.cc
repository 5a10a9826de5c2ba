#include "cluster_domain.h"

#include <algorithm>

namespace flynn::controller {

ClusterDomains domains_of(const json::object& config, const std::string& otherwise) {
  return {text_of(config, "domain", otherwise), strings_or_empty(config, "former_domains")};
}

Outcome<ClusterDomains> cluster_domains(Context& context) {
  auto config = context.store.get(kClusterConfigKey);
  if (!config) return config.error();
  return domains_of(*config ? (*config)->value : json::object{}, context.settings.configured_domain);
}

ClusterDomains moved_to(const ClusterDomains& domains, const std::string& domain) {
  if (domain == domains.current) return domains;
  ClusterDomains out{domain, domains.former};
  if (!domains.current.empty()) out.former.insert(out.former.begin(), domains.current);
  std::erase(out.former, domain);
  if (out.former.size() > kFormerDomainsMax) out.former.resize(kFormerDomainsMax);
  return out;
}

void write_domains(const ClusterDomains& domains, json::object& config) {
  config["domain"] = domains.current;
  config["former_domains"] = json::array(domains.former.begin(), domains.former.end());
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_of_domain(std::string_view name, std::string_view domain) {
  if (domain.empty() || !name.ends_with(domain)) return false;
  return name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.';
}

std::string domain_above(const ClusterDomains& domains, std::string_view name) {
  std::string found = is_of_domain(name, domains.current) ? domains.current : "";
  for (const std::string& former : domains.former) {
    if (former.size() > found.size() && is_of_domain(name, former)) found = former;
  }
  return found;
}

}  // namespace flynn::controller
