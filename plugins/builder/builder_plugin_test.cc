// Two instances over the same sockets, as in a swap: who has the slot takes the connections.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "http/http_client_test.h"
#include "tests/lone_plugin_test.h"

namespace flynn {
namespace {

class Nobody : public Door {
 public:
  using Door::call;
  Result<Reply> call(std::string_view, std::string_view, const json::object&, Deadline,
                     const std::vector<int>&) override {
    return Error{Code::unavailable, "nobody provides it"};
  }
};

class BuilderPluginTest : public testing::Test {
 protected:
  BuilderPluginTest() : ssh_(lent_socket(ssh_port_)), http_(lent_socket(http_port_)) {}
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: sessions run as another user";
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-builder-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    const json::object config{{"session_program", FLYNN_SESSION_PROGRAM}, {"buildpacks_dir", FLYNN_BUILDPACKS}};
    for (auto* one : {&first_, &second_}) {
      one->emplace(nobody_, folder_,
                   std::map<std::string, int>{{"builder.ssh", ssh_.get()}, {"builder.http", http_.get()}});
      ASSERT_TRUE((*one)->configure(config));
    }
  }
  void TearDown() override {
    first_.reset();
    second_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  static std::int64_t sessions(LonePlugin& plugin) {
    const auto status = plugin.call("flynn.builder/1", "Status");
    return status ? int_or(status->body, "ssh_sessions", -1) : -1;
  }
  /// A client of SSH that has heard who serves it.
  struct SshClient : http::Client {
    explicit SshClient(std::uint16_t port) : http::Client(port) { banner = read_until("\r\n"); }
    std::string banner;
  };

  std::uint16_t ssh_port_ = 0, http_port_ = 0;
  UniqueFd ssh_, http_;
  std::string folder_;
  Nobody nobody_;
  std::optional<LonePlugin> first_, second_;
};

TEST_F(BuilderPluginTest, AnswersCallsRightAfterItsStart) {
  ASSERT_TRUE(first_->start());

  EXPECT_EQ(sessions(*first_), 0);
  const auto build = first_->call("flynn.builder/1", "Build", {{"app_id", "x"}, {"rev", "1"}});
  EXPECT_EQ(build.error().code, Code::invalid_argument) << build.error().message;
}

TEST_F(BuilderPluginTest, AQuiescedInstanceTakesNoConnection) {
  ASSERT_TRUE(first_->start());
  ASSERT_TRUE(first_->activate());
  ASSERT_TRUE(first_->quiesce());
  ASSERT_TRUE(second_->start());
  ASSERT_TRUE(second_->activate());

  const SshClient one(ssh_port_), two(ssh_port_);

  EXPECT_TRUE(one.banner.starts_with("SSH-2.0-")) << one.banner;
  EXPECT_TRUE(two.banner.starts_with("SSH-2.0-")) << two.banner;
  EXPECT_EQ(sessions(*second_), 2);
  EXPECT_EQ(sessions(*first_), 0);
}

TEST_F(BuilderPluginTest, AResumedInstanceTakesConnectionsAgain) {
  ASSERT_TRUE(first_->start());
  ASSERT_TRUE(first_->activate());
  ASSERT_TRUE(first_->quiesce());
  ASSERT_TRUE(second_->start());
  ASSERT_TRUE(second_->activate());
  ASSERT_TRUE(second_->quiesce());

  ASSERT_TRUE(first_->resume());

  const SshClient client(ssh_port_);
  EXPECT_TRUE(client.banner.starts_with("SSH-2.0-")) << client.banner;
  EXPECT_EQ(sessions(*first_), 1);
  EXPECT_EQ(sessions(*second_), 0);
}

}  // namespace
}  // namespace flynn
