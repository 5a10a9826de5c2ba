#include "database_name.h"

#include <algorithm>

#include "flynn/sdk/uuid.h"

namespace flynn::postgres {
namespace {

constexpr std::string_view kIdPrefix = "db";
constexpr unsigned kIdBytes = 12, kPasswordBytes = 24;

}  // namespace

Credentials new_credentials() { return {std::string(kIdPrefix) + random_hex(kIdBytes), random_hex(kPasswordBytes)}; }

Result<void> check_id(std::string_view id) {
  const bool well_formed = id.size() == kIdPrefix.size() + 2 * kIdBytes && id.starts_with(kIdPrefix) &&
                           std::all_of(id.begin() + kIdPrefix.size(), id.end(),
                                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!well_formed) return Error{Code::invalid_argument, "member \"id\" is not the id of a database of this appliance"};
  return {};
}

json::object environment_of(const Credentials& credentials) {
  const std::string port = std::to_string(kPort);
  const std::string host(kClusterHost);
  return {{"FLYNN_POSTGRES", "postgres"},
          {"PGHOST", host},
          {"PGPORT", port},
          {"PGUSER", credentials.id},
          {"PGPASSWORD", credentials.password},
          {"PGDATABASE", credentials.id},
          {"DATABASE_URL", "postgres://" + credentials.id + ":" + credentials.password + "@" + host + ":" + port + "/" +
                               credentials.id}};
}

}  // namespace flynn::postgres
