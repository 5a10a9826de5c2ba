// Who may speak to the host's HTTP API.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace flynn::host {

enum class Admission { admitted, stranger, browser };

/// A browser (its requests have an Origin) never is admitted. A peer on loopback whose process is root's or our own
/// user's is, when it asks for an address or localhost (a name may be an attacker's that points here) and is not this
/// process itself (a router in it speaks for anybody, unless `trust_own_process`); anybody else needs Basic
/// authentication with one of `keys` as the password. Thread: [any].
Admission admit(const http::HttpRequest& request, const std::vector<std::string>& keys, bool trust_own_process = false);

/// Compared in constant time; the user name is of no account, and an empty key never fits.
bool has_key(std::string_view authorization, const std::vector<std::string>& keys);

}  // namespace flynn::host
