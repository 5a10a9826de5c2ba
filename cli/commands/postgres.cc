#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ostream>

#include "../database.h"
#include "../documents.h"
#include "../dump_target.h"
#include "../one_off.h"
#include "../session.h"
#include "../terminal.h"
#include "families.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::cli {
namespace {

Result<Database> database_of(Session& session) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  return find_database(**client, *app);
}

Result<int> psql(Session& session, const Arguments& arguments) {
  auto database = database_of(session);
  if (!database) return database.error();
  json::array args{"psql"};
  for (const std::string& word : arguments.values) args.emplace_back(word);
  database->job["args"] = std::move(args);
  json::object& env = database->job["env"].as_object();
  env["PAGER"] = "less";
  env["LESS"] = "--ignore-case --LONG-PROMPT --SILENT --tabs=4 --quit-if-one-screen --no-init --quit-at-eof";
  AttachIo io{.stdin_fd = 0};
  io.tty = use_terminal(database->job);
  session.shown();
  return run_one_off(*database->client, database->app, database->job, io);
}

Result<int> dump(Session& session, const Arguments& arguments) {
  auto database = database_of(session);
  if (!database) return database.error();
  const auto target = dump_target(arguments);
  if (!target) return target.error();
  session.shown();
  return dump_database(*database, target->fd());
}

Result<int> restore(Session& session, const Arguments& arguments) {
  auto database = database_of(session);
  if (!database) return database.error();
  auto begun = session.begin({{"replace the contents of the database of " + database->app},
                              "",
                              "what was in the database is gone; 'flynn pg dump' keeps it before"});
  if (!begun) return begun.error();
  int fd = 0;
  UniqueFd file;
  if (arguments.has("file")) {
    const std::string path = arguments.value("file");
    file.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return failure("open " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    fd = file.get();
  }
  const auto code = restore_database(*database, fd);
  if (!code) return code.error();
  if (*code != 0) return *code;
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
