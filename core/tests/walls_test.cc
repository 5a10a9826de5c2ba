// The walls of a cage: what a plugin in it may still do, and what it may not.
#include "walls.h"

#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "cage_user.h"
#include "prison.h"

namespace flynn::core {
namespace {

bool kernel_has_landlock() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

TEST(Cage, RunsThePluginInAProcessAndAsAUserOfItsOwn) {
  Prison prison;
  const auto facts = prison.ask("Facts");

  EXPECT_NE(int_or(facts, "pid"), ::getpid());
  const auto user = int_or(facts, "uid");
  EXPECT_GE(user, kCageUserFirst);
  EXPECT_LT(user, kCageUserFirst + kCageUsersMax);
  EXPECT_EQ(string_or(facts, "caller"), "operator");
  EXPECT_EQ(string_or(facts, "environment"), "clean");
  struct stat folder {};
  ASSERT_EQ(::stat(string_or(facts, "data_dir").c_str(), &folder), 0);
  EXPECT_EQ(folder.st_uid, user) << "its own folder is its own";
}

TEST(Cage, GivesNoFileThatTheManifestDoesNotName) {
  Prison prison;
  const auto data = string_or(prison.ask("Facts"), "data_dir");
  const std::string foreign = prison.zoo.folder() + "/readable";
  std::ofstream(foreign) << "everybody's";
  ::chmod(foreign.c_str(), 0644);

  EXPECT_EQ(prison.attempt("write", {{"path", data + "/mine"}}), 0);
  EXPECT_EQ(prison.attempt("read", {{"path", "/usr/share"}}), 0);
  EXPECT_TRUE(prison.refused("read", "/etc/passwd")) << "not even what all may read";
  EXPECT_TRUE(prison.refused("read", "/etc/shadow"));
  EXPECT_TRUE(prison.refused("read", foreign));
  EXPECT_TRUE(prison.refused("write", foreign));
  EXPECT_TRUE(prison.refused("write", "/tmp/flynn-escape"));
}

// Of the walls that inspect() tells: whether it stands.
std::map<std::string, bool> walls_told(Prison& prison) {
  std::map<std::string, bool> walls;
  const auto facts = prison.zoo.node().inspect("cage");
  if (const auto* told = facts ? find_array(*facts, "walls") : nullptr)
    for (const auto& wall : *told) walls[string_or(wall.as_object(), "name")] = bool_or(wall.as_object(), "stands");
  return walls;
}

bool tells_of(Prison& prison, const std::string& missing) {
  const auto facts = prison.zoo.node().inspect("cage");
  const auto problems = facts ? strings_or_empty(*facts, "problems") : std::vector<std::string>();
  return std::any_of(problems.begin(), problems.end(),
                     [&](const std::string& problem) { return problem.find(missing) != std::string::npos; });
}

TEST(Cage, TellsTheOperatorWhichWallsStand) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's build has fewer";
#endif
  Prison prison;

  const std::map<std::string, bool> all{
      {"user", true}, {"seccomp", true}, {"landlock", kernel_has_landlock()}, {"files", true}, {"memory", true}};
  EXPECT_EQ(walls_told(prison), all);
  EXPECT_EQ(tells_of(prison, "Landlock"), !kernel_has_landlock());
}

TEST(Cage, TellsTheOperatorOfAWallThatTheKernelLacks) {
  Prison prison("prisoner", [](NodeConfig& config) { config.plugins[0].cage.landlock = false; });
  EXPECT_TRUE(tells_of(prison, "Landlock"));
  EXPECT_FALSE(walls_told(prison)["landlock"]);
  EXPECT_EQ(prison.zoo.state(), "up") << "it works with the walls that there are";

  Prison other("prisoner", [](NodeConfig& config) {
    config.plugins[0].cage.file_view = false;
    config.plugins[0].cage.memory_mb = 0;
  });
  EXPECT_TRUE(tells_of(other, "a view of files of its own"));
  EXPECT_FALSE(walls_told(other)["files"]);
  EXPECT_FALSE(walls_told(other)["memory"]);
  EXPECT_FALSE(tells_of(other, "memory")) << "as it was asked to";
  EXPECT_EQ(other.zoo.state(), "up");
}

TEST(Cage, OfAnotherNodeOnTheMachineHasAnotherUser) {
  Prison one, other;
  EXPECT_NE(int_or(one.ask("Facts"), "uid"), int_or(other.ask("Facts"), "uid"))
      << "what is left behind is ended by its user";
}

TEST(Cage, MakesNoSystemCallThatTheManifestDoesNotName) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer makes system calls of its own, so there is no filter";
#endif
  Prison prison;

  EXPECT_EQ(prison.attempt("connect", {{"number", prison.zoo.port()}}), EPERM);
  EXPECT_EQ(prison.attempt("exec"), EPERM);
  EXPECT_EQ(prison.attempt("mount"), EPERM);
  EXPECT_EQ(prison.attempt("root"), EPERM);
  EXPECT_EQ(prison.attempt("ptrace", {{"number", ::getpid()}}), EPERM);
  EXPECT_EQ(prison.attempt("kill", {{"number", ::getpid()}}), EPERM);
}

TEST(Cage, GivesWhatTheManifestAndTheConfigurationName) {
  const std::string file = "/tmp/flynn-cage-may-read." + std::to_string(::getpid());
  std::ofstream(file) << "for this one";
  Prison prison("prisoner_free", [&](NodeConfig& config) { config.plugins[0].cage.may_read = {file}; });

  EXPECT_EQ(prison.attempt("connect", {{"number", prison.zoo.port()}}), 0);
  EXPECT_EQ(prison.attempt("exec"), 0);
  EXPECT_EQ(prison.attempt("read", {{"path", file}}), 0);
  EXPECT_NE(prison.attempt("write", {{"path", file}}), 0);
  EXPECT_NE(prison.attempt("mount"), 0);
  ::unlink(file.c_str());
}

TEST(Cage, BindsLowPortsOnlyWithTheCapability) {
  std::ifstream file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  int first = 1024;
  file >> first;
  if (first < 1024) GTEST_SKIP() << "here everybody may bind low ports";

  // What somebody else has bound is no matter of rights.
  EXPECT_EQ(Prison("prisoner_net").attempt("bind", {{"number", 919}}), EACCES);
  const int with_it = Prison("prisoner_low_ports").attempt("bind", {{"number", 919}});
  EXPECT_TRUE(with_it == 0 || with_it == EADDRINUSE) << with_it;
  EXPECT_EQ(Prison("prisoner_low_ports").attempt("root"), EPERM) << "that right alone";
}

TEST(Cage, KeepsAKeyBesideItsFolderOnlyWithTheCapability) {
  {
    Prison prison("prisoner_key");
    const auto key = string_or(prison.ask("Facts"), "data_dir") + ".key";
    struct stat facts {};
    ASSERT_EQ(::stat(key.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600U);
    EXPECT_EQ(prison.attempt("write", {{"path", key}}), 0);
    EXPECT_EQ(prison.attempt("write", {{"path", key + ".new"}}), EACCES) << "the file, not the folder";

    std::ofstream(key) << "secret";
    prison.zoo.config().plugins[0].cage.own_process = false;
    prison.zoo.reboot();
    ASSERT_EQ(::stat(key.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, ::getuid()) << "out of the cage it is the host's again";
    EXPECT_EQ(facts.st_size, 6);

    prison.zoo.config().plugins[0].cage.own_process = true;
    prison.zoo.reboot();
    EXPECT_EQ(prison.attempt("read", {{"path", key}}), 0);
  }
  Prison other("prisoner");
  EXPECT_FALSE(std::filesystem::exists(string_or(other.ask("Facts"), "data_dir") + ".key"));
}

TEST(Cage, LeavesNoKeyThatWasNeverWritten) {
  Prison prison("prisoner_key");
  const auto key = string_or(prison.ask("Facts"), "data_dir") + ".key";
  ASSERT_TRUE(std::filesystem::exists(key));

  prison.zoo.config().plugins[0].cage.own_process = false;
  prison.zoo.reboot();

  EXPECT_FALSE(std::filesystem::exists(key));
}

TEST(Cage, EndsWhatLeftItsSession) {
  Prison prison("prisoner_free");
  const pid_t first = prison.process();
  const pid_t child = -prison.attempt("leave");
  ASSERT_GT(child, 1);
  ASSERT_EQ(::kill(child, 0), 0);

  ::kill(first, SIGKILL);
  ASSERT_TRUE(prison.is_back(first));

  EXPECT_TRUE(RunningHost::wait_until([&] { return ::kill(child, 0) != 0; }));
  ::kill(child, SIGKILL);
}

TEST(Cage, SaysThatItMayBeWhy) {
  EXPECT_NE(cage_hint("open /x: Permission denied", "web").find("[plugins.web] may_read"), std::string::npos);
  EXPECT_NE(cage_hint("std::bad_alloc", "web").find("memory_mb"), std::string::npos);
  EXPECT_EQ(cage_hint("the address is in use", "web"), "");
}

TEST(Cage, RunsProgramsWhereTheConfigurationSays) {
  const std::string file = "/tmp/flynn-cage-program." + std::to_string(::getpid());
  std::filesystem::copy_file("/bin/true", file, std::filesystem::copy_options::overwrite_existing);
  ::chmod(file.c_str(), 0755);
  const auto name_it = [&](NodeConfig& config) { config.plugins[0].cage.may_read = {file}; };

  EXPECT_EQ(Prison("prisoner_free", name_it).attempt("exec", {{"path", file}}), 0);
  EXPECT_TRUE(Prison("prisoner_free").refused("exec", file));
  ::unlink(file.c_str());
}

TEST(Cage, LimitsMemoryAndTheHostGoesOn) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the shadow memory of a sanitizer would count";
#endif
  Prison prison("prisoner", [](NodeConfig& config) { config.plugins[0].cage.memory_mb = 128; });

  EXPECT_EQ(prison.attempt("memory", {{"number", 32}}), 0);
  EXPECT_EQ(prison.attempt("memory", {{"number", 256}}), ENOMEM);
}

TEST(Cage, RefusesWhatNeedsRootAndSaysSo) {
  ZooNode zoo({{"cage", "prisoner_mounts"}}, in_cages);

  EXPECT_EQ(zoo.state(), "failed");
  EXPECT_NE(zoo.reason().find("cage = \"shared\""), std::string::npos) << zoo.reason();
}

TEST(Cage, SaysWhichFolderIsClosedToItsUser) {
  ZooNode zoo({{"cage", "prisoner"}}, [](NodeConfig& config) {
    in_cages(config);
    config.plugins[0].cage.file_view = false;  // in which the folders above are others
    ::mkdir(config.data_dir.c_str(), 0700);
  });

  EXPECT_EQ(zoo.state(), "failed");
  EXPECT_NE(zoo.reason().find("chmod o+x"), std::string::npos) << zoo.reason();
}

}  // namespace
}  // namespace flynn::core
