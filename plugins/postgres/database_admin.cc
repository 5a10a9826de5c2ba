#include "database_admin.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>

namespace flynn::postgres {
namespace {

// libpq ends its messages with a line end.
std::string trimmed(const char* words) {
  std::string text(words == nullptr ? "" : words);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

void DatabaseAdmin::Finish::operator()(PGconn* connection) const { ::PQfinish(connection); }

Result<DatabaseAdmin> DatabaseAdmin::connect(const ServerAddress& server, Deadline deadline) {
  const std::string port = std::to_string(server.port);
  // libpq counts whole seconds and takes 1 as 2.
  const std::string timeout = std::to_string(std::max(2, deadline.left_ms(10'000) / 1000));
  const std::array<const char*, 9> keys{
      "host", "port", "user", "password", "dbname", "connect_timeout", "sslmode", "application_name", nullptr};
  const std::array<const char*, 9> values{server.host.c_str(),
                                          port.c_str(),
                                          "postgres",
                                          server.password.c_str(),
                                          "postgres",
                                          timeout.c_str(),
                                          "prefer",
                                          "flynn",
                                          nullptr};
  DatabaseAdmin admin(::PQconnectdbParams(keys.data(), values.data(), 0));
  if (!admin.connection_) return Error{Code::resource_exhausted, "connect to PostgreSQL: no memory"};
  if (::PQstatus(admin.connection_.get()) != CONNECTION_OK)
    return Error{Code::unavailable, "connect to PostgreSQL: " + trimmed(::PQerrorMessage(admin.connection_.get()))};
  return admin;
}

Result<std::string> DatabaseAdmin::query(const std::string& sql) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(::PQexec(connection_.get(), sql.c_str()), ::PQclear);
  const auto status = ::PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK) return std::string();
  if (status == PGRES_TUPLES_OK)
    return std::string(::PQntuples(result.get()) > 0 ? ::PQgetvalue(result.get(), 0, 0) : "");
  const char* state = ::PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  const std::string_view code(state == nullptr ? "" : state);
  const auto kind = code == "53100"                           ? Code::resource_exhausted  // disk_full
                    : code == "42P04" || code == "42710"      ? Code::already_exists
                    : code == "3D000" || code == "42704"      ? Code::not_found
                    : code.starts_with("57P") || code.empty() ? Code::unavailable
                                                              : Code::internal;
  return Error{kind, "PostgreSQL says: " + trimmed(::PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY)) +
                         (code.empty() ? trimmed(::PQerrorMessage(connection_.get())) : "")};
}

Result<std::string> DatabaseAdmin::quoted(std::string_view name) {
  if (auto checked = check_id(name); !checked) return checked.error();
  const std::unique_ptr<char, void (*)(void*)> text(::PQescapeIdentifier(connection_.get(), name.data(), name.size()),
                                                    ::PQfreemem);
  if (!text) return Error{Code::internal, trimmed(::PQerrorMessage(connection_.get()))};
  return std::string(text.get());
}

// The server gets the SCRAM verifier, never the password: so it can't stand in a server log either.
Result<std::string> DatabaseAdmin::password_verifier(const Credentials& credentials) {
  const std::unique_ptr<char, void (*)(void*)> verifier(
      ::PQencryptPasswordConn(connection_.get(), credentials.password.c_str(), credentials.id.c_str(), "scram-sha-256"),
      ::PQfreemem);
  if (!verifier) return Error{Code::internal, "make a SCRAM verifier: " + trimmed(::PQerrorMessage(connection_.get()))};
  const std::unique_ptr<char, void (*)(void*)> literal(
      ::PQescapeLiteral(connection_.get(), verifier.get(), std::string_view(verifier.get()).size()), ::PQfreemem);
  if (!literal) return Error{Code::internal, trimmed(::PQerrorMessage(connection_.get()))};
  return std::string(literal.get());
}

Result<void> DatabaseAdmin::create(const Credentials& credentials) {
  const auto name = quoted(credentials.id);
  if (!name) return name.error();
  const auto verifier = password_verifier(credentials);
  if (!verifier) return verifier.error();
  auto made = query("CREATE ROLE " + *name + " LOGIN PASSWORD " + *verifier);
  if (!made) return made.error().context("create the role");
  made = query("CREATE DATABASE " + *name + " OWNER " + *name);
  if (made) made = query("REVOKE ALL ON DATABASE " + *name + " FROM PUBLIC");
  if (!made) {
    const auto undone = drop(credentials.id);
    return made.error().context(undone ? "create the database"
                                       : "create the database (and " + undone.error().message + ")");
  }
  return {};
}

Result<void> DatabaseAdmin::drop(std::string_view id) {
  const auto name = quoted(id);
  if (!name) return name.error();
  const auto dropped = query("DROP DATABASE " + *name + " WITH (FORCE)");
  if (!dropped && dropped.error().code != Code::not_found) return dropped.error().context("drop the database");
  const auto role = query("DROP ROLE " + *name);
  if (!role && (role.error().code != Code::not_found || !dropped)) return role.error().context("drop the role");
  return {};
}

Result<ServerFacts> DatabaseAdmin::facts() {
  ServerFacts facts;
  auto version = query("SHOW server_version");
  if (!version) return version.error();
  facts.version = *version;
  auto count = query("SELECT count(*) FROM pg_database WHERE datname ~ '^db[0-9a-f]{24}$'");
  if (!count) return count.error();
  facts.databases = std::stoll(*count);
  return facts;
}

}  // namespace flynn::postgres
