// The certificates of routes, and the one for all other names, as the store has them.
#pragma once

#include "flynn/sdk/host.h"
#include "flynn/sdk/store.h"
#include "tls/certificates.h"

namespace flynn::router {

/// Keys: `routes/http/<id>` with a member `certificate` {cert, key}; `routes/certificate` {cert, key} is the default. A
/// pair that OpenSSL refuses is told of and left out; a key is never told.
void replace_certificates(Certificates& certificates, const RangeResult& all, Log& log);
void change_certificates(Certificates& certificates, const std::vector<StoreEvent>& events, Log& log);

}  // namespace flynn::router
