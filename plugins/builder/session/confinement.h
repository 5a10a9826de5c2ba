// What a session process may still do once it talks to strangers.
#pragma once

#include <sys/types.h>

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::builder {

/// Where the one repository of a process is bound; exists on every system and its parents may be walked.
constexpr const char* kRepositoryMount = "/mnt";

/// In a mount namespace of this process alone, binds `repository` on kRepositoryMount. Needs root.
Result<void> show_repository(const std::string& repository);
/// Irreversibly another user, with no groups and no new privileges. A process that is not root stays who it is.
Result<void> drop_privileges(uid_t id);

}  // namespace flynn::builder
