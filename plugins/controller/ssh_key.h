/// One line of an SSH public key. Pure.
#pragma once

#include <string>

#include "api_error.h"

namespace flynn::controller {

struct SshKey {
  std::string fingerprint;  // hex MD5 of the key's bytes, without colons
  std::string key;          // "type base64"
  std::string comment;
};
Outcome<SshKey> parse_ssh_key(const std::string& line);

}  // namespace flynn::controller
