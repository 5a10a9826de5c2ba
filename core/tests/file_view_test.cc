// The files that a caged plugin sees: by each of the two walls that are about files, and by both.
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "file_rules.h"
#include "prison.h"

namespace flynn::core {
namespace {

struct Walled {
  const char* name;
  bool landlock, file_view;
};

bool has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1; }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_for_all(const std::string& path) {
  std::ofstream(path) << "everybody's";
  ::chmod(path.c_str(), 0644);
}

class FileView : public testing::TestWithParam<Walled> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "a view of files needs root";
    if (!GetParam().file_view && !has_landlock()) GTEST_SKIP() << "this kernel has no Landlock";
    std::string pattern = "/tmp/flynn-view.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    ::chmod(folder_.c_str(), 0755);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::unique_ptr<Prison> given(const char* animal, const std::function<void(NodeConfig&)>& change = {}) {
    return std::make_unique<Prison>(animal, [&](NodeConfig& config) {
      config.plugins[0].cage.landlock = GetParam().landlock;
      config.plugins[0].cage.file_view = GetParam().file_view;
      if (change) change(config);
    });
  }
  std::string folder_;
};

TEST_P(FileView, HasNoFileOfTheSystemsUsersOrOfAnotherPlugin) {
  auto prison = given("prisoner");
  const auto data = string_or(prison->ask("Facts"), "data_dir");
  const auto neighbour = std::filesystem::path(data).parent_path() / "neighbour";
  std::filesystem::create_directory(neighbour);
  ::chmod(neighbour.c_str(), 0755);
  write_for_all(neighbour / "state");
  write_for_all(folder_ + "/readable");

  EXPECT_TRUE(prison->refused("read", "/etc/passwd"));
  EXPECT_TRUE(prison->refused("read", neighbour / "state"));
  EXPECT_TRUE(prison->refused("read", folder_ + "/readable"));
  EXPECT_TRUE(prison->refused("read", prison->zoo.folder() + "/log"));
  for (const char* folder : {"/", "/etc", "/root", "/home", "/var", "/tmp"})
    EXPECT_TRUE(prison->refused("write", std::string(folder) + "/flynn-escape")) << folder;
}

TEST_P(FileView, HasWhatEveryPluginNeeds) {
  auto prison = given("prisoner");
  const auto data = string_or(prison->ask("Facts"), "data_dir");

  EXPECT_EQ(prison->attempt("write", {{"path", data + "/mine"}}), 0);
  EXPECT_EQ(text_of(data + "/mine"), "") << "and the host sees it";
  EXPECT_EQ(prison->attempt("write", {{"path", "/dev/null"}}), 0);
  for (const char* path : {"/dev/urandom", "/proc/self/status", "/proc/meminfo", "/etc/ld.so.cache", "/usr/share",
                           "/lib64/ld-linux-x86-64.so.2", "/sys/devices/system/cpu/online"})
    if (std::filesystem::exists(path)) {
      EXPECT_EQ(prison->attempt("read", {{"path", path}}), 0) << path;
    }
  EXPECT_TRUE(prison->refused("write", "/usr/share/flynn-escape"));
}

TEST_P(FileView, HasWhatTheConfigurationNamesByEachOfItsNames) {
  for (const char* folder : {"/real", "/real/inner"}) std::filesystem::create_directory(folder_ + folder);
  write_for_all(folder_ + "/real/file");
  std::filesystem::create_symlink("real", folder_ + "/link");
  std::filesystem::create_directory(folder_ + "/real/drop");
  ::chmod((folder_ + "/real/drop").c_str(), 0777);
  write_for_all(folder_ + "/other");

  auto prison = given("prisoner", [&](NodeConfig& config) {
    config.plugins[0].cage.may_read = {folder_ + "/link", folder_ + "/never-there"};
    config.plugins[0].cage.may_write = {folder_ + "/link/drop"};
  });

  ASSERT_EQ(prison->zoo.state(), "up") << prison->zoo.reason();
  EXPECT_EQ(prison->attempt("read", {{"path", folder_ + "/link/file"}}), 0);
  EXPECT_EQ(prison->attempt("read", {{"path", folder_ + "/real/file"}}), 0);
  EXPECT_EQ(prison->attempt("write", {{"path", folder_ + "/real/drop/new"}}), 0) << "a folder in one that is read";
  EXPECT_TRUE(prison->refused("write", folder_ + "/real/inner/new"));
  EXPECT_TRUE(prison->refused("read", folder_ + "/other"));
}

TEST_P(FileView, HasProgramsOnlyWithTheCapability) {
  EXPECT_EQ(given("prisoner_free")->attempt("exec"), 0);
  EXPECT_TRUE(given("prisoner")->refused("read", "/usr/bin/env"));
}

TEST_P(FileView, HasTheKeyAndNotWhatLiesBesideIt) {
  auto prison = given("prisoner_key");
  const auto key = string_or(prison->ask("Facts"), "data_dir") + ".key";

  EXPECT_EQ(prison->attempt("write", {{"path", key}}), 0);
  EXPECT_EQ(prison->attempt("write", {{"path", key + ".new"}}), EACCES) << "which a plugin knows; EROFS would be news";
}

INSTANTIATE_TEST_SUITE_P(By, FileView,
                         testing::Values(Walled{"TheViewAlone", false, true}, Walled{"LandlockAlone", true, false},
                                         Walled{"Both", true, true}),
                         [](const auto& one) { return std::string(one.param.name); });

bool is_root() { return ::geteuid() == 0; }

TEST(FileViewOfACage, LeavesNoMountWithTheHostAndSharesNone) {
  if (!is_root()) GTEST_SKIP() << "a view of files needs root";
  Prison prison;
  const pid_t first = prison.process();
  const auto inside = text_of("/proc/" + std::to_string(first) + "/mountinfo");
  EXPECT_NE(inside.find("flynn-cage"), std::string::npos) << inside;
  EXPECT_EQ(inside.find("shared:"), std::string::npos) << "what happens there would reach the host\n" << inside;
  EXPECT_EQ(inside.find(" / /dev/shm "), std::string::npos) << "the old tree is gone\n" << inside;

  ::kill(first, SIGKILL);
  ASSERT_TRUE(prison.is_back(first)) << prison.zoo.reason();

  const auto outside = text_of("/proc/self/mountinfo");
  EXPECT_EQ(outside.find("flynn-cage"), std::string::npos) << outside;
  EXPECT_EQ(outside.find(prison.zoo.folder()), std::string::npos) << outside;
}

TEST(FileViewOfACage, HidesOtherUsersProcesses) {
  if (!is_root()) GTEST_SKIP() << "a view of files needs root";
  Prison prison("prisoner", [](NodeConfig& config) { config.plugins[0].cage.landlock = false; });

  EXPECT_EQ(prison.attempt("read", {{"path", "/proc/" + std::to_string(prison.process()) + "/cmdline"}}), 0);
  EXPECT_TRUE(prison.refused("read", "/proc/" + std::to_string(::getpid()) + "/cmdline"));
}

TEST(FileViewOfACage, NeedsNoOpenFolderAboveItsOwn) {
  if (!is_root()) GTEST_SKIP() << "a view of files needs root";
  ZooNode zoo({{"cage", "prisoner"}}, [](NodeConfig& config) {
    in_cages(config);
    ::mkdir(config.data_dir.c_str(), 0700);
  });

  EXPECT_EQ(zoo.state(), "up") << zoo.reason();
}

// A mount of this test's; ended with it.
class OwnMount {
 public:
  explicit OwnMount(std::string folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    mounted_ = ::mount("flynn-test", folder_.c_str(), "tmpfs", 0, "size=1m,mode=0755") == 0;
  }
  ~OwnMount() { end(); }
  OwnMount(const OwnMount&) = delete;
  OwnMount& operator=(const OwnMount&) = delete;
  void end() {
    if (std::exchange(mounted_, false)) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool share() const { return ::mount(nullptr, folder_.c_str(), nullptr, MS_SHARED, nullptr) == 0; }

 private:
  std::string folder_;
  bool mounted_ = false;
};

TEST(FileViewOfACage, FollowsTheHostsMountsAndKeepsNoneBusy) {
  if (!is_root()) GTEST_SKIP() << "a view of files needs root";
  std::string pattern = "/tmp/flynn-view.XXXXXX";
  const std::string folder = ::mkdtemp(pattern.data());
  {
    OwnMount outer(folder + "/outer");
    if (!outer.mounted() || !outer.share()) GTEST_SKIP() << "nothing can be mounted here";
    OwnMount before(folder + "/outer/before");
    Prison prison("prisoner", [&](NodeConfig& config) { config.plugins[0].cage.may_read = {folder + "/outer"}; });
    const auto mounts = "/proc/" + std::to_string(prison.process()) + "/mountinfo";
    ASSERT_NE(text_of(mounts).find(folder + "/outer/before"), std::string::npos) << text_of(mounts);

    before.end();
    OwnMount later(folder + "/outer/later");

    EXPECT_EQ(text_of(mounts).find(folder + "/outer/before"), std::string::npos) << text_of(mounts);
    EXPECT_NE(text_of(mounts).find(folder + "/outer/later"), std::string::npos) << text_of(mounts);
  }
  std::filesystem::remove_all(folder);
}

TEST(FileRules, NameProgramsAndTheFilesOfNamesByTheirCapabilitiesAlone) {
  const auto has = [](const CageWalls& walls, const std::string& path) {
    const auto rules = file_rules(walls);
    return std::any_of(rules.begin(), rules.end(), [&](const FileRule& rule) { return rule.path == path; });
  };
  CageWalls walls;
  EXPECT_FALSE(has(walls, "/usr"));
  EXPECT_FALSE(has(walls, "/etc/resolv.conf"));

  walls.exec = walls.net = true;

  EXPECT_TRUE(has(walls, "/usr"));
  EXPECT_TRUE(has(walls, "/etc/resolv.conf"));
  EXPECT_FALSE(has(walls, "/etc"));
  EXPECT_FALSE(has(walls, "/etc/passwd"));
}

}  // namespace
}  // namespace flynn::core
