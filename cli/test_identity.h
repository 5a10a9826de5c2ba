// What a TLS server of the tests shows its clients.
#pragma once

#include <Poco/Net/Context.h>

#include <string>

namespace flynn::cli::testing {

struct Identity {
  Poco::Net::Context::Ptr context;
  std::string pin;  ///< of the certificate, as clients pin it
};

/// A self-signed certificate, made now.
Identity make_identity();

}  // namespace flynn::cli::testing
