/// The cluster's own certificate: made at bootstrap, signed by a CA of the cluster, pinned by `flynn cluster add`.
#pragma once

#include <string>

#include "cluster_domain.h"
#include "context.h"

namespace flynn::controller {

/// PEM texts; the key is secret.
struct KeyPair {
  std::string cert, key;
};

/// A CA of its own, valid for 10 years.
Outcome<KeyPair> make_authority(const std::string& cluster);
/// For DOMAIN and *.DOMAIN of each of the domains, the current one as its subject, signed by `authority`, valid for 10
/// years less a day: clients pin it, so it is not renewed behind their backs. `cert` has the chain. EC P-256; OpenSSL.
Outcome<KeyPair> make_certificate(const KeyPair& authority, const ClusterDomains& domains);
/// base64 of the SHA-256 of the leaf: what a client pins.
std::string pin_of(const std::string& cert_pem);

/// Keys `cluster/ca` and `routes/certificate` (what the router shows when no route has one of its own): made when they
/// are not there, the second anew when the domain has changed. The pin is in data_dir/tls_pin.
Verdict ensure_certificates(Context& context, const ClusterDomains& domains);
/// One more, not stored; 503 before bootstrap has made the CA.
Outcome<KeyPair> new_certificate(Context& context, const ClusterDomains& domains);
/// Adds to `change` what makes `certificate` the cluster's, if the stored one is still the same then.
Verdict install_certificate(Context& context, const std::string& domain, const KeyPair& certificate, Change& change);
/// Into data_dir/tls_pin, for operators.
void write_pin(const Context& context, const std::string& cert);
/// The CA's certificate; empty before bootstrap.
Outcome<std::string> authority_certificate(Context& context);

}  // namespace flynn::controller
