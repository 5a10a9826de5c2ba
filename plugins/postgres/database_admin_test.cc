// Against a real server: a cluster of its own in a temporary folder, reached by a unix socket.
#include "database_admin.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "flynn/sdk/unique_fd.h"

namespace flynn::postgres {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrograms = "/usr/lib/postgresql/15/bin/";

// PostgreSQL refuses root: run as nobody.
pid_t start(const std::vector<std::string>& args, const std::string& log) {
  std::vector<char*> argv;
  for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const passwd* nobody = ::getpwnam("nobody");
  const uid_t uid = nobody->pw_uid;
  const gid_t gid = nobody->pw_gid;
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  ::dup2(out, 1);
  ::dup2(out, 2);
  if (::geteuid() == 0 && (::setgid(gid) != 0 || ::setuid(uid) != 0)) ::_exit(126);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

class DatabaseAdminTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!fs::exists(std::string(kPrograms) + "postgres")) return;
    std::string pattern = "/tmp/flynn-pg.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    fs::permissions(root_, fs::perms::all);
    const std::string data = root_ + "/data";
    if (wait_for(start({std::string(kPrograms) + "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"},
                       root_ + "/log")) != 0)
      return;
    server_ = start({std::string(kPrograms) + "postgres", "-D", data, "-k", root_, "-c", "listen_addresses=", "-F"},
                    root_ + "/log");
  }

  static void TearDownTestSuite() {
    if (server_ > 0) {
      ::kill(server_, SIGINT);
      wait_for(server_);
    }
    if (!root_.empty()) fs::remove_all(root_);
  }

  void SetUp() override {
    if (!fs::exists(std::string(kPrograms) + "postgres"))
      GTEST_SKIP() << "needs Debian's postgresql-15 (scripts/packages)";
    ASSERT_GT(server_, 0) << "initdb failed, see " << root_ << "/log";
  }

  // The server needs a moment after its start.
  static Result<DatabaseAdmin> admin() {
    const auto deadline = Deadline::after(std::chrono::seconds(20));
    while (true) {
      auto connected = DatabaseAdmin::connect({root_, kPort, ""}, deadline);
      if (connected || deadline.passed()) return connected;
      ::poll(nullptr, 0, 50);
    }
  }

  // What the owner of a resource sees when it connects.
  static std::string connect_as(const std::string& user, const std::string& database) {
    const std::string text = "host=" + root_ + " user=" + user + " dbname=" + database;
    PGconn* connection = ::PQconnectdb(text.c_str());
    const std::string answer = ::PQstatus(connection) == CONNECTION_OK ? "ok" : ::PQerrorMessage(connection);
    ::PQfinish(connection);
    return answer;
  }

  static inline std::string root_;
  static inline pid_t server_ = -1;
};

TEST_F(DatabaseAdminTest, CreatesADatabaseForItsOwnerAlone) {
  auto sql = admin();
  ASSERT_TRUE(sql.ok()) << sql.error().message;
  const auto mine = new_credentials(), other = new_credentials();

  ASSERT_TRUE(sql->create(mine).ok());
  ASSERT_TRUE(sql->create(other).ok());

  EXPECT_EQ(connect_as(mine.id, mine.id), "ok");
  EXPECT_NE(connect_as(other.id, mine.id).find("permission denied"), std::string::npos);
  EXPECT_EQ(sql->facts()->databases, 2);
  EXPECT_EQ(sql->facts()->version.substr(0, 2), "15");
  EXPECT_TRUE(sql->drop(mine.id).ok());
  EXPECT_TRUE(sql->drop(other.id).ok());
  EXPECT_EQ(sql->facts()->databases, 0);
}

TEST_F(DatabaseAdminTest, DropsADatabaseThatIsInUse) {
  auto sql = admin();
  ASSERT_TRUE(sql.ok()) << sql.error().message;
  const auto used = new_credentials();
  ASSERT_TRUE(sql->create(used).ok());
  PGconn* session = ::PQconnectdb(("host=" + root_ + " user=" + used.id + " dbname=" + used.id).c_str());
  ASSERT_EQ(::PQstatus(session), CONNECTION_OK);

  EXPECT_TRUE(sql->drop(used.id).ok());
  ::PQfinish(session);
}

TEST_F(DatabaseAdminTest, SaysThatADatabaseIsNotThere) {
  auto sql = admin();
  ASSERT_TRUE(sql.ok()) << sql.error().message;

  EXPECT_EQ(sql->drop(new_credentials().id).error().code, Code::not_found);
}

TEST_F(DatabaseAdminTest, SaysThatThereIsNoServer) {
  const auto refused = DatabaseAdmin::connect({"/nonexistent", kPort, ""}, Deadline::after(std::chrono::seconds(2)));

  EXPECT_EQ(refused.error().code, Code::unavailable);
  EXPECT_NE(refused.error().message.find("No such file"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace flynn::postgres
