// The real flynn-host: the keeper restarts its host process and keeps the sockets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "flynn/sdk/json.h"
#include "flynn/sdk/stream.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

class KeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/flynn-keeper.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(folder_ + "/flynn.toml")
        << "[node]\ndata_dir = \"" << folder_ << "/data\"\nrun_dir = \"" << folder_ << "/run\"\n[log]\nfile = \""
        << folder_ << "/log\"\n[listeners]\n\"web\" = \"127.0.0.1:0\"\n[plugins.cage]\npath = \"" << zoo_file("good")
        << "\"\n";
    keeper_ = ::fork();
    if (keeper_ == 0) {
      const std::string config = folder_ + "/flynn.toml";
      ::execl(FLYNN_HOST_PROGRAM, "flynn-host", "run", "--config", config.c_str(), nullptr);
      ::_exit(127);
    }
    ASSERT_GT(wait_for_host(0), 1);
  }

  void TearDown() override {
    if (keeper_ > 0) {
      ::kill(keeper_, SIGTERM);
      ::waitpid(keeper_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  json::object ask(const std::string& method, const std::string& params = "{}") const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (folder_ + "/run/admin.sock").c_str(), sizeof address.sun_path - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
    if (!write_all(fd.get(), R"({"method":")" + method + R"(","params":)" + params + "}\n",
                   Deadline::after(std::chrono::seconds(1))))
      return {};
    LineReader lines(std::move(fd));
    auto status = lines.next(Deadline::after(std::chrono::seconds(5)));
    if (!status || *status != LineReader::Status::line) return {};
    auto document = parse_json_object(lines.text());
    return document ? *document : json::object{};
  }

  // The pid of a healthy host process that is not `other`.
  pid_t wait_for_host(pid_t other) const {
    for (int i = 0; i < 1000; ++i) {
      const auto answer = ask("status");
      const auto* status = find_object(answer, "result");
      if (status != nullptr && bool_or(*status, "healthy") && int_or(*status, "pid") != other)
        return static_cast<pid_t>(int_or(*status, "pid"));
      ::poll(nullptr, 0, 10);
    }
    return -1;
  }

  std::string folder_;
  pid_t keeper_ = -1;
};

TEST_F(KeeperTest, StartsTheHostAgainWhenItIsKilled) {
  const pid_t first = wait_for_host(0);

  ASSERT_EQ(::kill(first, SIGKILL), 0);
  const pid_t second = wait_for_host(first);

  EXPECT_GT(second, 1);
  EXPECT_NE(second, first);
  const auto answer = ask("call", R"({"interface":"zoo.animal/1","method":"Version"})");
  EXPECT_NE(json::serialize(answer).find("1.0.0"), std::string::npos) << answer;
}

TEST_F(KeeperTest, EndsOrderlyWhenAsked) {
  ::kill(keeper_, SIGTERM);
  int status = 0;
  ::waitpid(keeper_, &status, 0);
  keeper_ = -1;

  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/run/admin.sock"));
}

TEST_F(KeeperTest, AnswersNonsenseOnTheAdminSocketWithAnError) {
  EXPECT_NE(json::serialize(ask("no.such.method")).find("unimplemented"), std::string::npos);
  EXPECT_NE(json::serialize(ask("plugin.swap", "{\"slot\":7}")).find("invalid_argument"), std::string::npos);
  EXPECT_NE(json::serialize(ask("plugin.inspect", R"({"path":"/etc/passwd"})")).find("no ELF file"), std::string::npos);
}

}  // namespace
}  // namespace flynn::core
