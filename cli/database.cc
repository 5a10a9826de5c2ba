#include "database.h"

#include "deploy.h"
#include "documents.h"
#include "one_off.h"

namespace flynn::cli {
namespace {

json::array words(std::initializer_list<std::string> list) {
  json::array array;
  for (const std::string& word : list) array.emplace_back(word);
  return array;
}

}  // namespace

Result<Database> find_database(ControllerClient& client, const std::string& app) {
  const auto release = current_release(client, app);
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
  const auto image = require_release(client, server);
  if (!image) return image.error().context("the database server's app");
  return Database{&client,
                  app,
                  text_of(env, "PGDATABASE"),
                  {{"release", text_of(*image, "id")}, {"env", credentials}, {"disable_log", true}}};
}

Result<int> dump_database(Database& database, int fd) {
  database.job["args"] = words({"pg_dump", "--format=custom", "--no-owner", "--no-acl"});
  return run_one_off(*database.client, database.app, database.job, {.stdout_fd = fd});
}

Result<int> restore_database(Database& database, int fd) {
  database.job["args"] =
      words({"pg_restore", "-d", database.name, "-n", "public", "--clean", "--if-exists", "--no-owner", "--no-acl"});
  const auto code = run_one_off(*database.client, database.app, database.job, {.stdin_fd = fd});
  if (!code) return code.error();
  // pg_restore says 1 for mere warnings, such as objects to clean that were not there.
  return *code == 1 ? 0 : *code;
}

}  // namespace flynn::cli
