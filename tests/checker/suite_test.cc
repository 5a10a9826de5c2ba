// The suites of the contracts, run as an author runs them on providers that lie: each lie is found, by the scenario
// that it breaks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "../e2e/program.h"
#include "flynn/sdk/json.h"

namespace flynn {
namespace {

using namespace std::chrono_literals;

// With what tests/checker/CMakeLists.txt gives to the check of the plugin itself.
std::vector<std::string> beside(const std::string& plugin) {
  if (plugin == "discovery" || plugin == "logs") return {"store"};
  if (plugin == "scheduler" || plugin == "router") return {"store", "discovery"};
  if (plugin == "host") return {"store", "discovery", "blobstore"};
  if (plugin == "controller") return {"store", "discovery", "blobstore", "logs", "scheduler", "host"};
  if (plugin == "builder" || plugin == "images")
    return {"store", "discovery", "blobstore", "logs", "scheduler", "host", "controller"};
  return {};
}

std::string config_of(const std::string& plugin) {
  auto file = std::string(CONFIG_DIR) + "/" + plugin + ".json";
  return std::filesystem::exists(file) ? file : "";
}

e2e::Args words_for(const std::string& plugin, const std::string& file) {
  e2e::Args words{FLYNN_PLUGIN, "check", file, "--json", "--seed", "1"};
  for (const auto& provider : beside(plugin)) {
    const auto config = config_of(provider);
    words.push_back("--with");
    words.push_back(std::string(PLUGINS_DIR) + "/" + provider + "/" + provider + ".so" +
                    (config.empty() ? "" : "=" + config));
  }
  if (const auto config = config_of(plugin); !config.empty()) {
    words.push_back("--config");
    words.push_back(config);
  }
  return words;
}

struct Verdict {
  std::string outcome, words;
};

Verdict verdict_of(const std::string& plugin, const std::string& file, const std::string& check) {
  auto words = words_for(plugin, file);
  words.push_back("--only");
  words.push_back(check);
  const auto ran = e2e::run(words, {.timeout = 170s});
  const auto document = parse_json_object(ran.out.substr(std::min(ran.out.find("{\"plugin\""), ran.out.size())));
  const auto* checks = document ? find_array(*document, "checks") : nullptr;
  if (checks == nullptr || checks->size() != 1) return {"no verdict", ran.out};
  return {string_or(checks->front().as_object(), "outcome"), string_or(checks->front().as_object(), "words")};
}

struct Lie {
  const char* plugin;
  const char* mutant;  // without the plugin's name
  const char* scenario;
  const char* step;  // where it is found
};

class Suite : public testing::TestWithParam<Lie> {};

TEST_P(Suite, FindsTheLie) {
  const auto& lie = GetParam();
  const std::string plugin = lie.plugin;
  if (::geteuid() != 0 && (plugin == "host" || plugin == "builder" || plugin == "images" || plugin == "controller"))
    GTEST_SKIP() << "containers need root";
  const auto file = std::string(MUTANTS_DIR) + "/mutant_" + plugin + "_" + lie.mutant + ".so";

  const auto verdict = verdict_of(plugin, file, "flynn." + plugin + "/1 " + lie.scenario);

  EXPECT_EQ(verdict.outcome, "fail") << verdict.words;
  EXPECT_TRUE(verdict.words.starts_with(lie.step)) << verdict.words;
}

INSTANTIATE_TEST_SUITE_P(
    Of, Suite,
    testing::Values(Lie{"store", "forgets", "a swap loses no key, no revision and no lease", "step 5 (Get)"},
                    Lie{"store", "forgets", "what was answered is there after a restart", "step 6 (Range)"},
                    Lie{"store", "is_stale", "an absent key is null, a put one has its revisions", "step 3 (Get)"},
                    Lie{"store", "keeps_leases", "a lease that is revoked takes its keys with it", "step 5 (Get)"},
                    Lie{"discovery", "keeps_who_left", "an instance is there until it goes, and keeps its index",
                        "step 8 (Instances)"},
                    Lie{"discovery", "renews_anything", "a lease is of one instance", "step 3 (Renew)"},
                    Lie{"blobstore", "forgets", "blobs are there after a swap and a restart", "step 4 (Get)"},
                    Lie{"blobstore", "deletes_nothing", "it says how much it holds", "step 5 (Status)"},
                    Lie{"logs", "forgets", "messages are there after a swap and a restart", "step 4 (Read)"},
                    Lie{"logs", "deletes_nothing", "each app has a log of its own, until it is deleted",
                        "step 7 (ends)"},
                    Lie{"logs", "takes_anything", "what is no message is refused, and nothing of its batch is kept",
                        "step 1 (Append)"},
                    Lie{"scheduler", "stops_nothing", "a job that is stopped is the host's to end, and then forgotten",
                        "step 6 (Get)"},
                    Lie{"scheduler", "takes_all", "all or nothing is all or nothing", "step 3 (Commit)"},
                    Lie{"scheduler", "writes_nothing", "a job that is run is written as a host must find it", "step "},
                    Lie{"router", "is_deaf", "a route and an instance bring requests to it", "step "},
                    Lie{"router", "is_stale", "instances come and go", "step "},
                    Lie{"host", "signals_nothing", "a job that runs is listed, measured, asked and ended", "step "},
                    Lie{"host", "measures_anything", "a job that there is not is not found", "step 2 (Stats)"},
                    Lie{"host", "lists_nothing", "a swap and a restart leave jobs running, and adopt them", "step "},
                    Lie{"builder", "builds_anything", "what can't be built is refused", "step 1 (Build)"},
                    Lie{"builder", "lets_anyone_in", "git by HTTP is for those with a key", "step "},
                    Lie{"images", "lets_anyone_in", "only who may make artifacts is heard", "step 3 (GET"},
                    Lie{"images", "is_deaf", "only who may make artifacts is heard", "step 3 (GET"},
                    Lie{"controller", "lets_anyone_in", "it answers as HTTP does", "step 5 (Authorize)"},
                    Lie{"controller", "is_stale", "an app is made, changed, listed and deleted", "step 3 (Request)"}),
    [](const auto& lie) {
      return std::string(lie.param.plugin) + "_" + lie.param.mutant + "_" + std::to_string(lie.index);
    });

struct BadLedger {
  const char* sin;
  const char* scenario;
  const char* step;
};

class LedgerSuite : public testing::TestWithParam<BadLedger> {};

TEST_P(LedgerSuite, FindsTheSinOfADatabase) {
  const auto file = [](const std::string& sin) { return std::string(MUTANTS_DIR) + "/ledger_" + sin + ".so"; };
  const auto check = std::string("flynn.database/1 ") + GetParam().scenario;

  const auto good = verdict_of("ledger", file("good"), check);
  const auto bad = verdict_of("ledger", file(GetParam().sin), check);

  EXPECT_EQ(good.outcome, "pass") << good.words;
  EXPECT_EQ(bad.outcome, "fail") << bad.words;
  EXPECT_TRUE(bad.words.starts_with(GetParam().step)) << bad.words;
}

INSTANTIATE_TEST_SUITE_P(
    Of, LedgerSuite,
    testing::Values(
        BadLedger{"same_credentials", "each database has an id and credentials of its own", "step 2 (Provision)"},
        BadLedger{"keeps_what_goes", "each database has an id and credentials of its own", "step 5 (Deprovision)"},
        BadLedger{"forgets_at_a_swap", "a database lives through a swap", "step 3 (Status)"},
        BadLedger{"takes_any_dump", "a backup is taken of what there is, and restored into what there is",
                  "step 6 (Restore)"},
        BadLedger{"empty_backup", "a backup is taken of what there is, and restored into what there is",
                  "step 3 (Restore)"}),
    [](const auto& bad) { return std::string(bad.param.sin); });

}  // namespace
}  // namespace flynn
