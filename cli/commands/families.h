/// The families of commands, each in its own file.
#pragma once

#include "../command.h"

namespace flynn::cli {

CommandList cluster_commands();
CommandList backup_commands();
CommandList domain_commands();
CommandList app_commands();
CommandList job_commands();
CommandList run_commands();
CommandList log_commands();
CommandList scale_commands();
CommandList env_commands();
CommandList limit_commands();
CommandList meta_commands();
CommandList route_commands();
CommandList release_commands();
CommandList deployment_commands();
CommandList resource_commands();
CommandList postgres_commands();
CommandList redis_commands();
CommandList key_commands();
CommandList access_commands();
CommandList remote_commands();
CommandList plugin_commands();
CommandList plugin_audit_commands();
CommandList plugin_trust_commands();
CommandList archive_commands();
CommandList history_commands();
CommandList open_commands();
CommandList exec_commands();
CommandList docker_commands();
CommandList drain_commands();
CommandList volume_commands();
CommandList doctor_commands();
CommandList unsupported_commands();
CommandList completion_commands();
CommandList version_commands();

}  // namespace flynn::cli
