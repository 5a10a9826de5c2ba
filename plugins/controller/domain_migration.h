/// PUT /domain: the whole cluster gets another domain, while everything runs (docs/decisions/0023-domain-migration.md).
///
/// A migration is a record in the store from its begin to its end, and each of its steps may be repeated, so the next
/// instance of this plugin goes on where this one was stopped. The events `domain_migration` tell of both ends.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Records a migration and has it carried out in the background; answers it as the wire shows it, with the certificate
/// and without its key. The members of `config` are written into `cluster/config` with it. 400 for a bad domain or
/// another `old_domain` than the present one; 409 while one runs and when a name of the platform is taken below the new
/// domain; 503 before bootstrap. [any]
Outcome<json::object> begin_domain_migration(Context& context, const std::string& domain, const std::string& old_domain,
                                             const json::object& config = {});

/// Carries out what is recorded, if anything. What the environment (the store) prevents is left for the next call, and
/// `context.domain_migration_waits` set. On the thread of `context.later`.
void resume_domain_migration(Context& context);

/// True from begin to end.
Outcome<bool> domain_migration_runs(Context& context);

}  // namespace flynn::controller
