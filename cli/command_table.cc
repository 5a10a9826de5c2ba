#include "command_facts.h"
#include "commands/families.h"

namespace flynn::cli {
namespace {

void add_facts(Command& command) {
  const CommandFacts* facts = facts_of(command.name);
  if (facts == nullptr) return;  // a test sees to it that there are some
  command.effect = facts->effect;
  command.document = facts->document;
}

}  // namespace

std::span<const Command> command_table() {
  static const CommandList table = [] {
    CommandList all;
    for (auto family :
         {cluster_commands,    backup_commands,  domain_commands,       app_commands,          job_commands,
          log_commands,        scale_commands,   run_commands,          exec_commands,         env_commands,
          limit_commands,      meta_commands,    route_commands,        open_commands,         postgres_commands,
          redis_commands,      release_commands, history_commands,      docker_commands,       deployment_commands,
          resource_commands,   volume_commands,  drain_commands,        key_commands,          access_commands,
          remote_commands,     plugin_commands,  plugin_audit_commands, plugin_trust_commands, doctor_commands,
          completion_commands, archive_commands, version_commands,      unsupported_commands}) {
      const CommandList commands = family();
      all.insert(all.end(), commands.begin(), commands.end());
    }
    for (Command& command : all) add_facts(command);
    return all;
  }();
  return table;
}

}  // namespace flynn::cli
