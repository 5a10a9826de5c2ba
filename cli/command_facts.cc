#include "command_facts.h"

#include <algorithm>

namespace flynn::cli {
namespace {

using enum Effect;

constexpr std::string_view kLines = "{output: [text]}";
constexpr std::string_view kChange = "change";
constexpr std::string_view kRelease = "change + {release: text}";
constexpr std::string_view kStream = "the process's own output; no document";
constexpr std::string_view kSinks = "[{id: text, kind: text, config: text}]";
constexpr std::string_view kSink = "change + {sink: text}";
constexpr std::string_view kNothing = "nothing: an error";

constexpr CommandFacts kFacts[] = {
    {"cluster", kReads, "[{name: text, controller_url: text, git_url: text, image_url: text, note: text}]"},
    {"cluster add", kChanges, kChange},
    {"cluster remove", kDeletes, kChange},
    {"cluster default", kChanges, "change, or without a name [{name: text, url: text}]"},
    {"cluster backup", kReads,
     "with --file {file: text, bytes: number, members: number, domain: text, created_at: RFC 3339, "
     "left_out: [{what: text, instead: text}]}; else the archive"},
    {"cluster migrate-domain", kChanges, "change + {domain: text, old_domain: text, remotes: [text]}"},
    {"create", kChanges, "change + {app: text}"},
    {"delete", kDeletes, "change + {app: text, routes: number, releases: number, resources: number}"},
    {"apps", kReads, "[{id: text, name: text}]"},
    {"info", kReads, "{name: text, git_url: text, web_url: text}"},
    {"ps", kReads, "[{id: text, type: text, state: text, created: text, release: text, command: text}]"},
    {"kill", kChanges, "change + {killed: [text], failed: [text]}"},
    {"log", kReads, "one message of the wire a line: {job_id: text, msg: text, stream: text, timestamp: text, …}"},
    {"scale", kChanges, "change, or without arguments {<type>: number}"},
    {"run", kChanges, "with -d change + {job: text}; else the process's own output"},
    {"exec", kChanges, kStream},
    {"port-forward", kReads, "{address: text, port: number, job: text, to: number}, once it listens"},
    {"env", kReads, "{<variable>: text}"},
    {"env set", kChanges, kRelease},
    {"env unset", kChanges, kRelease},
    {"env get", kReads, "{<variable>: text}"},
    {"limit", kReads, "{<type>: {<limit>: text}}"},
    {"limit set", kChanges, kRelease},
    {"meta", kReads, "[{key: text, value: text}]"},
    {"meta set", kChanges, kChange},
    {"meta unset", kChanges, kChange},
    {"route", kReads, "[{route: text, service: text, id: text, sticky: text, leader: text, path: text}]"},
    {"route add http", kChanges, "change + {route: text}"},
    {"route add tcp", kChanges, "change + {route: text, port: number}"},
    {"route update", kChanges, "change + {route: text}"},
    {"route remove", kDeletes, "change + {route: text}"},
    {"open", kReads, "{url: text}"},
    {"maintenance", kChanges,
     "change + {maintenance: truth}, or without on and off {maintenance: truth, routes: [text]}"},
    {"export", kReads, "the archive; no document"},
    {"import", kChanges, "change + {app: text, routes: number, resources: number}"},
    {"pg psql", kReads, kStream},
    {"pg dump", kReads, kStream},
    {"pg restore", kDeletes, kChange},
    {"redis redis-cli", kReads, kStream},
    {"redis dump", kReads, kStream},
    {"redis restore", kReads, kNothing},
    {"release", kReads, "[{id: text, created: text}]"},
    {"releases", kReads, "[{id: text, created: RFC 3339, by: text, changed: text, current: text}]"},
    {"diff", kReads, "{from: text, to: text, changes: [{change: + - or ~, what: text, before: text, after: text}]}"},
    {"release show", kReads, "the release of the wire: {id: text, artifacts: [text], env: {}, processes: {}, …}"},
    {"release update", kChanges, kRelease},
    {"release delete", kDeletes, "change + {release: text, files: number}"},
    {"release rollback", kChanges, kRelease},
    {"rollback", kChanges, kRelease},
    {"docker push", kChanges, "change + {release: text, artifact: text}"},
    {"deployment", kReads, "[{id: text, status: text, created: text, finished: text}]"},
    {"deployment timeout", kChanges, "change, or without a number {timeout_s: number}"},
    {"deployment batch-size", kChanges, "change, or without a number {batch_size: text}"},
    {"provider", kReads, "[{id: text, name: text, url: text}]"},
    {"provider add", kChanges, "change + {provider: text}"},
    {"resource", kReads, "[{id: text, provider_id: text, provider_name: text}]"},
    {"resource add", kChanges, "change + {resource: text, release: text}"},
    {"resource remove", kDeletes, "change + {resource: text, release: text}"},
    {"volume", kReads,
     "[{id: text, host: text, state: text, attached_job: text, created: text, decommissioned: text}]"},
    {"volume show", kReads, "the volume of the wire: {id: text, host_id: text, state: text, app: text, path: text, …}"},
    {"volume decommission", kDeletes, "change + {volume: text}"},
    {"drains", kReads, kSinks},
    {"drains add", kChanges, kSink},
    {"drains remove", kDeletes, kSink},
    {"cluster log-sink", kReads, kSinks},
    {"cluster log-sink add syslog", kChanges, kSink},
    {"cluster log-sink remove", kDeletes, kSink},
    {"key", kReads, "[{fingerprint: text, comment: text}]"},
    {"key add", kChanges, "change + {fingerprint: text}"},
    {"key remove", kDeletes, "change + {fingerprint: text}"},
    {"access", kReads, "[{name: text, may: text, created: text, expires: text, id: text}]"},
    {"access add", kChanges, "change + {name: text, key: text}"},
    {"access rotate", kDeletes, "change + {name: text, key: text}"},
    {"access revoke", kDeletes, "change + {name: text}"},
    {"access log", kReads, "[{at: text, key: text, status: text, method: text, path: text}]"},
    {"remote add", kChanges, "change + {url: text}"},
    {"git-credentials", kReads, kStream},
    {"plugin list", kReads, "{plugins: [{slot: text, name: text, version: text, state: text, …}]}"},
    {"plugin inspect", kReads,
     "{manifest: {}, digest: text, signature: {}, problems: [text], methods: [{}]}; of a cage also process: number, "
     "walls: [{name: text, stands: truth, how: text}]"},
    {"plugin swap", kChanges, "with --plan {verdict: text, …}; else the output of the swap"},
    {"plugin watch", kReads, "one event a line"},
    {"plugin status", kReads, "{healthy: truth, …}"},
    {"plugin rollback", kChanges, "the output of the swap; taken_back: true when it was of one under way"},
    {"plugin configure", kChanges, "change + {applied: text}"},
    {"plugin start", kChanges, "change + {state: text}"},
    {"plugin call", kChanges, "the body of the answer"},
    {"plugin history", kReads, "one entry of the audit log a line"},
    {"plugin audit", kReads, "{whole: truth, entries: number, …}"},
    {"plugin sign", kChanges, "change + {signature: text}"},
    {"plugin keygen", kChanges, "change"},
    {"doctor", kReads, "[{check: text, result: ok, warning or FAILED, detail: text, next: text, code: text}]"},
    {"login", kReads, kNothing},
    {"update", kReads, kNothing},
    {"install", kReads, kNothing},
    {"mysql", kReads, kNothing},
    {"mongodb", kReads, kNothing},
    {"completion", kReads, kLines},
    {"version", kReads, "{version: text}"},
};

}  // namespace

const CommandFacts* facts_of(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFacts), std::end(kFacts), [&](const auto& f) { return f.name == name; });
  return found != std::end(kFacts) ? found : nullptr;
}

std::string document_reference(std::span<const Command> table) {
  std::string text =
      "# What `flynn --json` prints\n"
      "One JSON document on stdout, or where it says so one a line. Members are only ever added. `text`, `number`, "
      "`truth` (true or false), `[…]` array, `{…}` object, `<name>` any key. Times in tables are text for people; "
      "the wire's documents have RFC 3339.\n\n"
      "`change` is `{changed: [text], undo: text or null}`: what was changed, and the command line that takes it back. "
      "With `--plan` it is `{plan: [text], undo: text or null}`, and nothing is changed. Errors are a document on "
      "stderr: [errors](errors/README.md).\n\n"
      "| command | document | --plan |\n|---|---|---|\n";
  for (const Command& command : table) {
    if (command.hidden) continue;
    text += "| `" + std::string(command.name) + "` | " + std::string(command.document) + " | " +
            (command.effect == Effect::kReads ? "" : "yes") + " |\n";
  }
  return text;
}

}  // namespace flynn::cli
