// The names a resource's database and role get, and the environment that leads to them.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"

namespace flynn::postgres {

/// Where clients inside the cluster find the primary, whatever its address is today: discovery answers it by DNS.
inline constexpr std::string_view kClusterHost = "leader.postgres.discoverd";
inline constexpr int kPort = 5432;

/// One provisioned database. The id is its name and its role's name.
struct Credentials {
  std::string id;
  std::string password;
};

/// A new, random id and password.
Credentials new_credentials();

/// invalid_argument unless `id` is one that new_credentials() could have made: nothing else ever reaches SQL.
Result<void> check_id(std::string_view id);

/// FLYNN_POSTGRES, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, DATABASE_URL.
json::object environment_of(const Credentials& credentials);

}  // namespace flynn::postgres
