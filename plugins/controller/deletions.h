/// Deletions that were asked for and have not ended: of apps, of releases, of an app's old releases.
///
/// Each is a note in the store, written with the request. Whoever is in force hears of a note and carries it out, be it
/// asked for here or by a client that still has a connection to the instance before; what ends in the middle is begun
/// anew by the next instance, so every step may be repeated. One deletion has one event, even if it was asked for twice
/// meanwhile.
#pragma once

#include "context.h"

namespace flynn::controller {

inline constexpr std::string_view kDeletionKind = "deletions";

/// Keys of the notes; `kind` of the value is "app", "release" or "garbage", `app` and `release` are ids.
std::string app_deletion_key(const std::string& app_id);
std::string release_deletion_key(const std::string& app_id, const std::string& release_id);
std::string garbage_key(const std::string& app_id);

/// Carries out all that are noted. Inside the gate, one at a time. What could not be done for the store's sake is tried
/// again (`deletions_wait`).
void carry_out_deletions(Context& context);

}  // namespace flynn::controller
