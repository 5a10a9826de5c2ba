#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../one_off.h"
#include "../session.h"
#include "../terminal.h"
#include "families.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::cli {
namespace {

struct Database {
  ControllerClient* client;
  std::string app;
  std::string name;  // of the database
  json::object job;  // runs in the image of the database's own app, with the credentials of this one
};

Result<Database> find_database(Session& session) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto release = current_release(**client, *app);
  if (!release) return release.error();
  const json::object& env = object_of(*release, "env");
  const std::string server = text_of(env, "FLYNN_POSTGRES");
  if (server.empty()) {
    return failure("No postgres database found. Provision one with `flynn resource add postgres`",
                   "flynn resource add postgres")
        .as(ErrorCode::kNoDatabase);
  }
  json::object credentials;
  for (const char* key : {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"}) {
    if (env.contains(key)) credentials[key] = text_of(env, key);
  }
  const auto image = require_release(**client, server);
  if (!image) return image.error().context("the database server's app");
  return Database{*client,
                  *app,
                  text_of(env, "PGDATABASE"),
                  {{"release", text_of(*image, "id")}, {"env", credentials}, {"disable_log", true}}};
}

json::array words(std::initializer_list<std::string> list) {
  json::array array;
  for (const std::string& word : list) array.emplace_back(word);
  return array;
}

Result<int> psql(Session& session, const Arguments& arguments) {
  auto database = find_database(session);
  if (!database) return database.error();
  json::array args = words({"psql"});
  for (const std::string& word : arguments.values) args.emplace_back(word);
  database->job["args"] = std::move(args);
  json::object& env = database->job["env"].as_object();
  env["PAGER"] = "less";
  env["LESS"] = "--ignore-case --LONG-PROMPT --SILENT --tabs=4 --quit-if-one-screen --no-init --quit-at-eof";
  AttachIo io{.stdin_fd = 0};
  io.tty = use_terminal(database->job);
  return run_one_off(*database->client, database->app, database->job, io);
}

Result<int> dump(Session& session, const Arguments& arguments) {
  auto database = find_database(session);
  if (!database) return database.error();
  database->job["args"] = words({"pg_dump", "--format=custom", "--no-owner", "--no-acl"});
  AttachIo io;
  UniqueFd file;
  if (arguments.has("file")) {
    const std::string path = arguments.value("file");
    file.reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return failure("create " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    io.stdout_fd = file.get();
  } else if (is_terminal(1)) {
    return usage_error("a dump is not for a terminal", "Name a file with -f, or send the output somewhere.");
  }
  return run_one_off(*database->client, database->app, database->job, io);
}

Result<int> restore(Session& session, const Arguments& arguments) {
  auto database = find_database(session);
  if (!database) return database.error();
  auto begun = session.begin({{"replace the contents of the database of " + database->app},
                              "",
                              "what was in the database is gone; 'flynn pg dump' keeps it before"});
  if (!begun) return begun.error();
  database->job["args"] =
      words({"pg_restore", "-d", database->name, "-n", "public", "--clean", "--if-exists", "--no-owner", "--no-acl"});
  AttachIo io{.stdin_fd = 0};
  UniqueFd file;
  if (arguments.has("file")) {
    const std::string path = arguments.value("file");
    file.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return failure("open " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    io.stdin_fd = file.get();
  }
  const auto code = run_one_off(*database->client, database->app, database->job, io);
  if (!code) return code.error();
  // pg_restore says 1 for mere warnings, such as objects to clean that were not there.
  if (*code != 0 && *code != 1) return *code;
  return session.done("");
}

}  // namespace

CommandList postgres_commands() {
  const Option file{'f', "file", "file", "instead of stdout or stdin"};
  const Option quiet{'q', "quiet", "", "no progress (there is none)"};
  return {
      {"pg psql",
       "[-- <argument>...]",
       "Open a console to the app's database",
       {},
       0,
       kAny,
       psql,
       OptionOrder::kBeforeArguments},
      {"pg dump", "", "Dump the app's database", {file, quiet}, 0, 0, dump},
      {"pg restore", "", "Restore a dump into the app's database", {file, quiet}, 0, 0, restore},
  };
}

}  // namespace flynn::cli
