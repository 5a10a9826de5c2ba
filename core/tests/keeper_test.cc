// The real flynn-host: the keeper restarts its host process, keeps the sockets and the audit log.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "audit_verify.h"
#include "port_client.h"
#include "restart_plan.h"
#include "running_host.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

TEST(RestartPlan, StartsAgainAtOnceAndBacksOffOnlyFromAHostThatDiesSoon) {
  RestartPlan plan;

  EXPECT_EQ(plan.after_run_of(50ms), 0ms);
  EXPECT_EQ(plan.after_run_of(50ms), 100ms);
  EXPECT_EQ(plan.after_run_of(50ms), 200ms);
  EXPECT_EQ(plan.after_run_of(10s), 0ms) << "it ran well";
  EXPECT_EQ(plan.after_run_of(50ms), 100ms);
  for (int i = 0; i < 20; ++i) (void)plan.after_run_of(50ms);
  EXPECT_EQ(plan.after_run_of(50ms), 5s);
}

TEST(Keeper, StartsTheHostAgainWhenItIsKilled) {
  const RunningHost host({{"cage", "good"}});
  const pid_t first = host.wait_for_host();

  ASSERT_EQ(::kill(first, SIGKILL), 0);
  const pid_t second = host.wait_for_host(first);

  EXPECT_GT(second, 1);
  EXPECT_NE(second, first);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  const auto death = host.entry("host_died");
  EXPECT_EQ(string_or(death, "outcome"), "signal 9");
  EXPECT_EQ(string_or(death, "by"), "keeper");
  EXPECT_EQ(int_or(death, "restart_in_ms", -1), 0);
}

TEST(Keeper, RefusesNoConnectionWhileTheHostIsKilledUnderLoad) {
  const RunningHost host({{"cage", "greeter"}, {"other", "provides_less"}});
  pid_t alive = host.wait_for_host();
  const int port = static_cast<int>(int_or(host.call("Version"), "port"));
  ASSERT_GT(port, 0);
  std::atomic<bool> ending{false};
  std::atomic<int> refused{0}, greeted{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i)
    callers.emplace_back([&] {
      while (!ending) {
        const auto pid = greeted_by(port);
        refused += pid == -1 ? 1 : 0;
        greeted += pid > 0 ? 1 : 0;
      }
    });
  for (int kills = 0; kills < 3; ++kills) {
    const auto killed = Clock::now();
    ASSERT_EQ(::kill(alive, SIGKILL), 0);
    pid_t next = 0;
    for (; Clock::now() < killed + 10s; next = greeted_by(port))
      if (next > 1 && next != alive) break;
    const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - killed);
    std::printf("kill -9 to the first answer: %lld ms\n", static_cast<long long>(pause.count()));
    ASSERT_GT(next, 1);
    EXPECT_LT(pause, 3s);
    alive = host.wait_for_host(alive);
  }
  ending = true;
  for (auto& caller : callers) caller.join();

  EXPECT_EQ(refused, 0);
  EXPECT_GT(greeted, 10);
}

json::object borrow(const RunningHost& host, int port) {
  return host.ask(
      "call",
      {{"interface", "test.borrower/1"}, {"method", "Borrow"}, {"body", {{"name", "range:" + std::to_string(port)}}}});
}

TEST(Keeper, KeepsTheSocketsThatTheHostOpenedLater) {
  const RunningHost host({{"cage", "borrower"}});
  pid_t alive = host.wait_for_host();
  const auto lent = borrow(host, host.range_port());
  ASSERT_EQ(greeted_by(host.range_port()), alive) << json::serialize(lent);

  // Twice: what was handed over by one host must reach those that did not open it. And one more port each time.
  for (const int more : {1, 2}) {
    // With the keeper held up, no host is there for sure.
    ::kill(host.keeper(), SIGSTOP);
    ASSERT_EQ(::kill(alive, SIGKILL), 0);
    ASSERT_TRUE(RunningHost::wait_until([&] { return host.ask("status").empty(); }));
    const auto waits = connect_to(host.range_port());
    EXPECT_TRUE(waits) << "refused while the host is away";
    ::kill(host.keeper(), SIGCONT);
    const pid_t next = host.wait_for_host(alive);
    ASSERT_GT(next, 1);
    EXPECT_EQ(greeting_on(waits), next) << "served by the next host";
    EXPECT_EQ(greeted_by(host.range_port() + more - 1), next);
    (void)borrow(host, host.range_port() + more);
    EXPECT_EQ(greeted_by(host.range_port() + more), next);
    alive = next;
  }
  EXPECT_EQ(host.keeper_words().find("keep the listener"), std::string::npos) << host.keeper_words();
}

TEST(Keeper, RefusesToWorkOnDataThatAnotherHas) {
  const RunningHost host({{"cage", "good"}});
  ASSERT_GT(host.wait_for_host(), 1);
  const std::string config = host.folder() + "/flynn.toml", words = host.folder() + "/second.log";
  const pid_t second = ::fork();
  if (second == 0) {
    ::dup2(::open(words.c_str(), O_WRONLY | O_CREAT, 0600), 2);
    ::execl(FLYNN_HOST_PROGRAM, "flynn-host", "run", "--config", config.c_str(), nullptr);
    ::_exit(127);
  }

  int status = -1;
  EXPECT_TRUE(RunningHost::wait_until([&] { return ::waitpid(second, &status, WNOHANG) == second; }));
  if (status == -1) {
    ::kill(second, SIGTERM);
    ::waitpid(second, nullptr, 0);
  }

  std::ostringstream said;
  said << std::ifstream(words).rdbuf();
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1);
  EXPECT_NE(said.str().find("/data is in use by another flynn-host (its keeper is pid " +
                            std::to_string(host.keeper()) + "): stop that"),
            std::string::npos)
      << said.str();
  EXPECT_EQ(host.state("cage"), "up") << "its admin socket is still its own";
}

TEST(Keeper, EndsOrderlyWhenAsked) {
  RunningHost host({{"cage", "good"}});
  ASSERT_GT(host.wait_for_host(), 1);

  EXPECT_EQ(host.stop(), 0);

  EXPECT_FALSE(std::filesystem::exists(host.folder() + "/run/admin.sock"));
  EXPECT_EQ(string_or(host.history().back(), "action"), "stop");
}

TEST(Keeper, LivesThroughAHangUp) {
  const RunningHost host({{"cage", "good"}});
  const pid_t pid = host.wait_for_host();

  ::kill(host.keeper(), SIGHUP);
  ::kill(pid, SIGHUP);

  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  EXPECT_EQ(host.wait_for_host(), pid);
}

TEST(Keeper, WaitsForAConfigurationThatIsRightAgainAndKeepsTheWords) {
  const RunningHost host({{"cage", "good"}});
  const pid_t first = host.wait_for_host();

  host.configure({{"cage", "good"}}, "nonsense = {\n");
  ::kill(first, SIGKILL);
  ASSERT_TRUE(RunningHost::wait_until([&] { return host.entry("host_failed").size() > 0; }));
  host.configure({{"cage", "good"}});
  const pid_t next = host.wait_for_host(first);

  EXPECT_GT(next, 1);
  EXPECT_NE(string_or(host.entry("host_failed"), "outcome").find("flynn.toml line"), std::string::npos);
  EXPECT_NE(host.keeper_words().find("flynn.toml line"), std::string::npos);
  EXPECT_TRUE(verify_audit_file(host.audit_file())->whole());
}

TEST(Keeper, WritesOneWholeChainWhateverBecomesOfTheHost) {
  RunningHost host({{"cage", "good"}});
  pid_t alive = host.wait_for_host();
  for (int i = 0; i < 3; ++i) {
    (void)host.result("plugin.swap", {{"slot", "cage"}, {"path", string_or(host.slot("cage"), "path")}});
    ::kill(alive, SIGKILL);
    alive = host.wait_for_host(alive);
  }
  host.kill_all();
  std::ofstream(host.audit_file(), std::ios::app) << R"({"seq":99,"at":"2026)";
  host.start();
  ASSERT_GT(host.wait_for_host(), 1);

  const auto verdict = verify_audit_file(host.audit_file());

  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->whole()) << verdict->words;
  EXPECT_EQ(verdict->cut_lines, 1);
  EXPECT_GT(verdict->entries, 15);
  const auto swap = host.entry("swap");
  EXPECT_EQ(string_or(swap, "outcome"), "committed");
  EXPECT_EQ(int_or(*find_object(swap, "by"), "pid"), ::getpid()) << "who asked stands in it";
  const auto asked = host.result("plugin.audit", {{"head", verdict->head.digest}});
  EXPECT_TRUE(bool_or(asked, "whole")) << json::serialize(asked);
}

TEST(Keeper, AnswersNonsenseOnTheAdminSocketWithAnError) {
  const RunningHost host({{"cage", "good"}});
  ASSERT_GT(host.wait_for_host(), 1);

  EXPECT_NE(json::serialize(host.ask("no.such.method")).find("unimplemented"), std::string::npos);
  EXPECT_NE(json::serialize(host.ask("plugin.swap", {{"slot", 7}})).find("invalid_argument"), std::string::npos);
  EXPECT_NE(json::serialize(host.ask("plugin.inspect", {{"path", "/etc/passwd"}})).find("no ELF file"),
            std::string::npos);
}

}  // namespace
}  // namespace flynn::core
