// Swaps of plugins as an operator asks for them: the real program against an admin socket.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "last_words.h"
#include "test_admin_socket.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

TEST(CliPlugin, ShowsASwapAndTheHostsOwnErrors) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  AdminSocket host(path, {{"plugin.swap", R"({"progress":{"slot":"router","phase":"drain","elapsed_ms":3}}
{"result":{"slot":"router","from":{"version":"1.0.0","digest":"aa","generation":1},"to":{"version":"1.1.0","digest":"bb","generation":2},"phases":[{"phase":"start","ms":4}],"total_ms":9,"pause_ms":1,"unmapped":true}}
)"},
                          {"plugin.rollback", "{\"error\":{\"code\":\"not_found\",\"message\":\"slot x\"}}\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto swapped = flynn.run({"plugin", "swap", "router", "new.so"});
  const auto refused = flynn.run({"plugin", "rollback", "x"});

  EXPECT_EQ(swapped.out,
            "router: 1.0.0 (aa, generation 1) => 1.1.0 (bb, generation 2)\n  start  4.0 ms\n"
            "swap completed in 9.0 ms, pause 1.0 ms, old image unmapped\n")
      << swapped.err;
  EXPECT_EQ(swapped.err, "undo: flynn plugin rollback router\n") << "progress is for terminals";
  EXPECT_EQ(host.params("plugin.swap"), R"({"slot":"router","path":")" + flynn.folder() + R"(/new.so"})");
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.err.find("plugin.rollback: not_found: slot x\n"), 0U) << refused.err;
  EXPECT_EQ(refused.err.find("serves on"), std::string::npos) << "in a slot that there is not";
}

TEST(CliPlugin, OffersNoWayBackWhereThereIsNone) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  flynn.set("FLYNN_ADMIN_SOCKET", path);
  const auto swap = [&](const std::string& sides) {
    std::filesystem::remove(path);
    AdminSocket host(path, {{"plugin.swap", "{\"result\":{\"slot\":\"router\"," + sides + ",\"unmapped\":true}}\n"}});
    return flynn.run({"plugin", "swap", "router", "new.so"});
  };

  const auto same = swap(R"("from":{"version":"1","digest":"aa"},"to":{"version":"1","digest":"aa"})");
  const auto first = swap(R"("from":{},"to":{"version":"1","digest":"aa"})");

  EXPECT_EQ(same.err.find("flynn plugin rollback"), std::string::npos) << same.err;
  EXPECT_EQ(first.err.find("flynn plugin rollback"), std::string::npos) << first.err;
  EXPECT_EQ(first.out.find("router: not running => 1 (aa"), 0U) << first.out;
}

TEST(CliPluginDeathTest, SaysWhatGoesOnToWhoLeaves) {
  for (const int signal : {SIGINT, SIGTERM})
    EXPECT_EXIT(
        {
          const LastWords words("the host goes on");
          ::raise(signal);
        },
        ::testing::KilledBySignal(signal), "the host goes on");
  EXPECT_EXIT(
      {
        { const LastWords words("the host goes on"); }
        ::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "^$");
}

TEST(CliPlugin, PlansWithExitCodesForScripts) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  flynn.set("FLYNN_ADMIN_SOCKET", path);
  const auto plan = [&](const std::string& members, std::vector<std::string> more = {}) {
    std::filesystem::remove(path);
    AdminSocket host(path, {{"plugin.plan", R"({"result":{"slot":"router","from":{"version":"1.0.0","digest":"aa"},)"
                                            R"("to":{"version":"1.1.0","digest":"bb"},"probation_ms":300,)" +
                                                members + "}}\n"}});
    std::vector<std::string> line{"plugin", "swap", "router", "new.so", "--plan"};
    line.insert(line.end(), more.begin(), more.end());
    return flynn.run(line);
  };

  const auto same = plan(R"("verdict":"no_change")");
  const auto changes = plan(
      R"("verdict":"changes","provides":[{"interface":"flynn.router/1","from":"1.0","to":"1.1","required_by":["controller"]}],)"
      R"("swap":{"mode":"overlap"},"config":{"added":["port"],"removed":["size"],"valid":true},)"
      R"("drain":{"calls_inside":2,"deadline_ms":10000},"expected":{"ms":1500,"swaps":3,"of":"slot"})");
  const auto refused =
      plan(R"("verdict":"refused","reasons":["it requires flynn.store/1.4, the running store provides 1.0"])");
  const auto as_json = plan(R"("verdict":"refused","reasons":["x"])", {"--json"});

  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(changes.code, 1);
  EXPECT_EQ(changes.out,
            "router: 1.0.0 (aa) => 1.1.0 (bb)\n"
            "  provides: flynn.router/1 1.0 => 1.1 (required by controller)\n"
            "  swap: overlap\n"
            "  configuration schema: +port, -size\n"
            "  present configuration: valid\n"
            "  to drain: 2 calls inside, at most 10.0s\n"
            "  probation: 300ms\n"
            "  expected to take: 1.5s (median of 3 swaps of this slot)\n"
            "would be swapped\n");
  EXPECT_EQ(refused.code, 255);
  EXPECT_EQ(refused.err, "refused: it requires flynn.store/1.4, the running store provides 1.0\n");
  EXPECT_EQ(as_json.code, 255);
  EXPECT_EQ(as_json.out.front(), '{');
  EXPECT_EQ(as_json.err, "");
  EXPECT_EQ(flynn.run({"plugin", "swap", "router", "new.so", "--plan"}).code, 255) << "no host, no plan";
  const auto no_plan = flynn.run({"plugin", "swap", "router", "new.so", "--plan", "--json"});
  EXPECT_EQ(no_plan.code, 255);
  EXPECT_EQ(no_plan.out, "") << "one document, and that is the error";
  EXPECT_NE(no_plan.err.find(R"("exit_code":255)"), std::string::npos) << no_plan.err;
}

TEST(CliPlugin, TellsTheHostTheTermsOfASwap) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  AdminSocket host(path, {{"plugin.swap", "{\"result\":{\"slot\":\"router\"}}\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto swapped = flynn.run({"plugin", "swap", "router", "/new.so", "--canary", "5%", "--canary-for", "2m",
                                  "--probation", "60s", "--lock-wait", "30", "--drain", "1500"});

  EXPECT_EQ(swapped.code, 0) << swapped.err;
  EXPECT_EQ(host.params("plugin.swap"),
            R"({"slot":"router","path":"/new.so","drain_ms":1500,"probation_ms":60000,"canary_permille":50,)"
            R"("canary_for_ms":120000,"lock_wait_ms":30000})");
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--canary", "100%"},
                                                                                      {"--canary", "0"},
                                                                                      {"--canary", "5x"},
                                                                                      {"--canary-for", "1s"},
                                                                                      {"--probation", "soon"},
                                                                                      {"--lock-wait", "-1"},
                                                                                      {"--drain", "1.5"}}) {
    const auto refused = flynn.run({"plugin", "swap", "router", "/new.so", option, value});
    EXPECT_EQ(refused.code, 2) << option << ' ' << value;
    EXPECT_NE(refused.err.find(option), std::string::npos) << refused.err;
  }
}

TEST(CliPlugin, WatchesChangesAndListsThem) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  const std::string change = R"("slot":"router","change":7,"action":"swap","who":"root","phase":"drain",)";
  AdminSocket host(
      path, {{"plugin.watch", "{\"progress\":{" + change +
                                  R"("elapsed_ms":1500.5,"phase_ms":1200,"deadline_ms":10000}})" + "\n{\"progress\":{" +
                                  change + R"("elapsed_ms":2100,"phase_ms":1800,"outcome":"committed"}})" +
                                  "\n{\"result\":{\"ended\":\"the node stops\"}}\n"},
             {"plugin.list", R"({"result":{"plugins":[{"slot":"router","state":"up","change":{)" + change +
                                 "\"phase_ms\":1200}}]}}\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto watched = flynn.run({"plugin", "watch", "router"});

  EXPECT_EQ(watched.out,
            "router  swap 7 by root  drain  1.2s of 10.0s\n"
            "router  swap 7 by root  committed after 2.1s\n")
      << watched.err;
  EXPECT_EQ(host.params("plugin.watch"), R"({"slot":"router"})");
  EXPECT_NE(flynn.run({"plugin", "list"}).out.find("swapping: drain (1.2s)"), std::string::npos);
}

}  // namespace
}  // namespace flynn::cli::testing
