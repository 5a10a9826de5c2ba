/// The PostgreSQL database of an app: jobs in the image of the database's own app, with the credentials of this one.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "http.h"
#include "result.h"

namespace flynn::cli {

struct Database {
  ControllerClient* client;
  std::string app;
  std::string name;         // of the database
  boost::json::object job;  // a NewJob without args
};

/// An error with kNoDatabase when the app's release names none.
Result<Database> find_database(ControllerClient& client, const std::string& app);

/// pg_dump in its custom format to `fd`; the exit code of the job.
Result<int> dump_database(Database& database, int fd);
/// pg_restore from `fd`, in place of what is there; mere warnings (exit code 1) count as success.
Result<int> restore_database(Database& database, int fd);

}  // namespace flynn::cli
