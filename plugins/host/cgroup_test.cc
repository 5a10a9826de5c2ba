// Control groups of v2: what is handed down, and what a person reads when it can't be.
#include "cgroup.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "files.h"

namespace flynn::host {
namespace {

constexpr char kRoot[] = "/sys/fs/cgroup";
constexpr long kCgroup2Magic = 0x63677270;

// A folder with the two files that matter.
class Group : public testing::Test {
 protected:
  Group() {
    std::string pattern = "/tmp/flynn-cgroup.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Group() override { std::filesystem::remove_all(folder_); }
  void given_controllers(const std::string& names) {
    ASSERT_TRUE(write_file(folder_ + "/cgroup.controllers", names).ok());
    ASSERT_TRUE(write_file(folder_ + "/cgroup.subtree_control", "").ok());
  }
  std::string handed_down() { return read_file(folder_ + "/cgroup.subtree_control").value_or("?"); }
  std::string folder_;
};

TEST_F(Group, HandsDownWhatLimitsJobs) {
  given_controllers("cpuset cpu io memory hugetlb pids rdma misc\n");

  const auto done = hand_controllers_down(folder_);

  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(handed_down(), "+cpu +memory +pids");
}

TEST_F(Group, NamesTheControllerThatTheKernelWasStartedWithout) {
  given_controllers("cpuset cpu io pids\n");

  const auto done = hand_controllers_down(folder_);

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::failed_precondition);
  EXPECT_NE(done.error().message.find("cgroup_enable=memory"), std::string::npos) << done.error().message;
  EXPECT_EQ(handed_down(), "") << "nothing by half";
}

// A process in a group of the real tree, until the end of the test.
class Member {
 public:
  explicit Member(const std::string& group) : group_(group), pid_(::fork()) {
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
    EXPECT_TRUE(write_control(group_ + "/cgroup.procs", std::to_string(pid_)).ok());
  }
  ~Member() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::rmdir(group_.c_str());
  }

 private:
  std::string group_;
  pid_t pid_;
};

TEST(GroupOfTheKernel, SaysThatProcessesAreInTheWay) {
  struct statfs tree {};
  if (::geteuid() != 0) GTEST_SKIP() << "control groups need root";
  if (::statfs(kRoot, &tree) != 0 || tree.f_type != kCgroup2Magic)
    GTEST_SKIP() << "this machine has not cgroup v2 alone (tests/vm/run has)";
  const auto given = hand_controllers_down(kRoot);
  ASSERT_TRUE(given) << given.error().message;
  const auto group = std::string(kRoot) + "/flynn-test-" + std::to_string(::getpid());
  ASSERT_TRUE(make_folders(group, 0755).ok());
  const Member member(group);

  const auto done = hand_controllers_down(group);

  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("has processes of its own"), std::string::npos) << done.error().message;
}

}  // namespace
}  // namespace flynn::host
