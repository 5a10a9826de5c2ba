#include <charconv>
#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../one_off.h"
#include "../port_forward.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

// In an app that was pushed by git this gives the command the environment of its buildpack.
constexpr const char* kRunnerInit = "/runner/init";

std::string id_of(const json::object& job) {
  const std::string id = text_of(job, "id");
  return id.empty() ? text_of(job, "uuid") : id;
}

/// The newest job that is up: of that process type, or with that id (or its beginning), or else of `web`, or any.
Result<json::object> choose_job(Session& session, const std::string& wanted) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto jobs = (*client)->get(*path + "/jobs");
  if (!jobs) return app_not_found(*session.app(), jobs.error());
  const json::object* any = nullptr;
  for (const json::value& value : as_array(*jobs)) {
    const json::object& job = as_object(value);
    if (text_of(job, "state") != "up") continue;
    const std::string type = text_of(job, "type");
    const bool named = id_of(job) == wanted || text_of(job, "uuid").starts_with(wanted) || type == wanted;
    if (!wanted.empty() && named) return job;
    if (wanted.empty() && type == "web") return job;
    if (any == nullptr) any = &job;
  }
  if (wanted.empty() && any != nullptr) return *any;
  const std::string what = wanted.empty() ? "app \"" + *session.app() + "\" has no job that is up"
                                          : "no job \"" + wanted + "\" of app \"" + *session.app() + "\" is up";
  return Error{what, "'flynn ps -a' shows the jobs; 'flynn scale web=1' starts one.", Failure::kNotFound}.as(
      ErrorCode::kJobNotFound);
}

Result<int> exec(Session& session, const Arguments& arguments) {
  const auto job = choose_job(session, arguments.value("job"));
  if (!job) return job.error();
  const auto client = session.controller();
  const auto release = (*client)->get("/releases/" + percent_encode(text_of(*job, "release")));
  const bool pushed = release && text_of(object_of(as_object(*release), "meta"), "git") == "true";
  json::array args;
  if (pushed) args.emplace_back(kRunnerInit);
  for (const std::string& word : arguments.values) args.emplace_back(word);
  if (arguments.values.empty()) args.emplace_back("/bin/sh");
  auto begun = session.begin({{"run a command in job " + id_of(*job)}, "", "what a command has done stays"});
  if (!begun) return begun.error();
  json::object asked{{"args", std::move(args)}};
  AttachIo io{.stdin_fd = 0};
  io.tty = use_terminal(asked);
  auto upgraded = (*client)->attach(*session.app_path() + "/jobs/" + percent_encode(id_of(*job)) + "/exec", asked);
  if (!upgraded) return upgraded.error();
  session.shown();
  return run_attached(std::move(*upgraded), io);
}

Result<std::uint16_t> port_from(const std::string& text, int least) {
  int port = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size() || port < least || port > 65535)
    return usage_error("\"" + text + "\" is not a port", "flynn port-forward 8000:8080");
  return static_cast<std::uint16_t>(port);
}

Result<int> port_forward(Session& session, const Arguments& arguments) {
  const std::string text = arguments.at(0);
  const auto colon = text.find(':');
  const auto local = port_from(text.substr(0, colon), 0);
  if (!local) return local.error();
  const auto remote = colon == std::string::npos ? local : port_from(text.substr(colon + 1), 1);
  if (!remote) return remote.error();
  const auto job = choose_job(session, arguments.value("job"));
  if (!job) return job.error();
  const auto client = session.controller();
  PortForward wanted;
  wanted.address = arguments.value("address", wanted.address);
  wanted.local_port = *local;
  wanted.path = *session.app_path() + "/jobs/" + percent_encode(id_of(*job)) + "/port/" + std::to_string(*remote);
  const auto listening = [&](std::uint16_t port) {
    if (session.json()) {
      session.show(json::object{{"address", wanted.address}, {"port", port}, {"job", id_of(*job)}, {"to", *remote}});
    } else {
      session.out() << "Forwarding " << wanted.address << ":" << port << " to port " << *remote << " of " << id_of(*job)
                    << '\n';
    }
    session.raw_out() << std::flush;
  };
  const auto failed = [&](const Error& error) { session.raw_err() << error.what << '\n' << std::flush; };
  if (auto served = run_port_forward(**client, wanted, listening, failed); !served) return served.error();
  return 0;
}

}  // namespace

CommandList exec_commands() {
  const Option job{'j', "job", "job", "this one, or one of this process type (default: a job of web, else any)"};
  return {
      {"exec",
       "[<command> [<argument>...]]",
       "Run a command, by default a shell, in a job that runs",
       {job},
       0,
       kAny,
       exec,
       OptionOrder::kBeforeArguments},
      {"port-forward",
       "<local>[:<port>]",
       "Lead a port of this machine to a port of a job, until interrupted",
       {job, {0, "address", "address", "where to listen (default: 127.0.0.1)"}},
       1,
       1,
       port_forward},
  };
}

}  // namespace flynn::cli
