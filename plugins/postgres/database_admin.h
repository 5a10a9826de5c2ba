// DatabaseAdmin: SQL on the server as its superuser, by libpq.
#pragma once

#include <memory>
#include <string>

#include "database_name.h"
#include "flynn/sdk/clock.h"

typedef struct pg_conn PGconn;

namespace flynn::postgres {

struct ServerAddress {
  std::string host;  // an IP address, or a folder with a unix socket
  int port = kPort;
  std::string password;  // of the role postgres
};

struct ServerFacts {
  std::string version;
  std::int64_t databases = 0;  // of resources
};

/// One connection. Thread: one at a time. Errors carry the server's words, never a password.
class DatabaseAdmin {
 public:
  /// `unavailable` when there is no server or it is still starting.
  static Result<DatabaseAdmin> connect(const ServerAddress& server, Deadline deadline);
  DatabaseAdmin(DatabaseAdmin&&) noexcept = default;

  /// An empty database owned by a new role, closed to all others. Nothing stays when a step fails.
  Result<void> create(const Credentials& credentials);
  /// not_found when neither database nor role exists. Ends the sessions in it.
  Result<void> drop(std::string_view id);
  Result<ServerFacts> facts();

 private:
  struct Finish {
    void operator()(PGconn* connection) const;
  };
  explicit DatabaseAdmin(PGconn* connection) : connection_(connection) {}
  Result<std::string> query(const std::string& sql);
  Result<std::string> quoted(std::string_view name);
  Result<std::string> password_verifier(const Credentials& credentials);

  std::unique_ptr<PGconn, Finish> connection_;
};

}  // namespace flynn::postgres
