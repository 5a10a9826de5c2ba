#include "database_name.h"

#include <gtest/gtest.h>

namespace flynn::postgres {
namespace {

TEST(DatabaseName, IsAcceptedWhenMadeHereAndNothingElseIs) {
  EXPECT_TRUE(check_id(new_credentials().id).ok());
  for (const char* id : {"", "postgres", "db", "db0123456789abcdef0123456", "db0123456789abcdef0123456g",
                         "db0123456789ABCDEF01234567", "db0123456789abcdef01234567\"; drop role postgres --"})
    EXPECT_EQ(check_id(id).error().code, Code::invalid_argument) << id;
}

TEST(DatabaseName, IsNeverGivenTwice) {
  EXPECT_NE(new_credentials().id, new_credentials().id);
  EXPECT_NE(new_credentials().password, new_credentials().password);
}

TEST(DatabaseEnvironment, LeadsToTheDatabaseByAUrl) {
  const auto env = environment_of({"dbx", "secret"});

  EXPECT_EQ(string_or(env, "DATABASE_URL"), "postgres://dbx:secret@leader.postgres.discoverd:5432/dbx");
  EXPECT_EQ(string_or(env, "FLYNN_POSTGRES"), "postgres");
}

}  // namespace
}  // namespace flynn::postgres
