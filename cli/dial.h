/// One connection to a controller: resolved, connected, and with TLS verified before a byte of ours is sent.
#pragma once

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/StreamSocket.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "result.h"

namespace flynn::cli {

/// Where a controller is and how to prove who we both are.
struct Endpoint {
  std::string url;      // http:// or https://
  std::string key;      // a secret
  std::string tls_pin;  // base64 of the SHA-256 of the leaf certificate; empty: the system's ordinary verification
};

struct Dialled {
  Poco::Net::StreamSocket socket;  // a second handle to the session's socket
  std::unique_ptr<Poco::Net::HTTPClientSession> session;
  std::string host_header;
};

/// Refused, unresolvable and timed out are Failure::kRefused. A certificate that does not match the pin, or is not
/// trusted, fails here: the key is never sent to it.
Result<Dialled> dial(const Endpoint& endpoint);

/// Host names that end in .localhost are this machine, whatever DNS says (RFC 6761).
bool is_localhost_name(std::string_view host);

}  // namespace flynn::cli
