// The checker, run as an author runs it, on plugins that sin.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "../e2e/program.h"
#include "flynn/sdk/json.h"

namespace flynn {
namespace {

using namespace std::chrono_literals;

struct Checked {
  int exit_code = -1;
  std::map<std::string, std::pair<std::string, std::string>> checks;  // name -> outcome, words
  std::string out;
};

std::string file_of(const std::string& animal) {
  const bool careless = animal.starts_with("careless_") || animal.starts_with("lender_");
  return (careless ? CARELESS_DIR "/" : ZOO_DIR "/zoo_") + animal + ".so";
}

Checked check(const std::string& animal, e2e::Args more = {}, e2e::RunOptions options = {}) {
  e2e::Args args{FLYNN_PLUGIN, "check", file_of(animal), "--json", "--seed", "1"};
  args.insert(args.end(), more.begin(), more.end());
  options.timeout = 170s;
  const auto ran = e2e::run(args, options);
  Checked checked;
  checked.exit_code = ran.exit_code;
  checked.out = ran.out;
  const auto document = parse_json_object(ran.out.substr(std::min(ran.out.find("{\"plugin\""), ran.out.size())));
  const auto* list = document ? find_array(*document, "checks") : nullptr;
  if (list != nullptr)
    for (const auto& one : *list)
      checked.checks[string_or(one.as_object(), "check")] = {string_or(one.as_object(), "outcome"),
                                                             string_or(one.as_object(), "words")};
  return checked;
}

// Its standard output alone, and what it says beside that.
struct Apart {
  int exit_code = -1;
  std::string out, err;
};

Apart run_apart(const e2e::Args& args) {
  const std::string errors = testing::TempDir() + "checker-" + std::to_string(::getpid()) + ".err";
  const auto ran = e2e::run(args, {.timeout = 170s, .errors = errors});
  std::ifstream file(errors);
  const std::string err{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(errors);
  return {ran.exit_code, ran.out, err};
}

// The processes whose environment begins a variable so.
std::vector<std::string> processes_with(const std::string& variable) {
  std::vector<std::string> found;
  std::error_code failure;
  for (auto entry = std::filesystem::directory_iterator("/proc", failure);
       entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
    std::ifstream file(entry->path() / "environ");
    std::ostringstream whole;
    whole << file.rdbuf();  // an iterator would throw for a process that has just gone
    const auto text = whole.str();
    if (text.starts_with(variable) || text.find(std::string(1, '\0') + variable) != std::string::npos)
      found.push_back(entry->path().filename());
  }
  return found;
}

// The check that must fail, and words that must be in its reason.
struct Sin {
  const char* animal;
  const char* check;
  const char* words;
};

class CheckerFindsOut : public testing::TestWithParam<Sin> {};

TEST_P(CheckerFindsOut, TheSin) {
  const auto checked = check(GetParam().animal, {"--only", GetParam().check});

  EXPECT_EQ(checked.exit_code, 1) << checked.out;
  ASSERT_TRUE(checked.checks.contains(GetParam().check)) << checked.out;
  const auto& [outcome, words] = checked.checks.at(GetParam().check);
  EXPECT_EQ(outcome, "fail");
  EXPECT_NE(words.find(GetParam().words), std::string::npos) << words;
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, CheckerFindsOut,
    testing::Values(Sin{"no_note", "manifest", "manifest"}, Sin{"abi_2", "manifest", "abi is 2.0"},
                    Sin{"bad_version", "manifest", "version"}, Sin{"extra_export", "symbols", "exports"},
                    Sin{"no_instance", "cycles", "create left no instance"},
                    Sin{"start_fails", "lifecycle", "the engine does not turn"},
                    Sin{"unhealthy", "lifecycle", "a fever"}, Sin{"hang_in_drain", "lifecycle", "drain_cut_short"},
                    Sin{"stop_fails", "lifecycle", "will not stop"},
                    Sin{"thread_stays", "lifecycle", "left a thread behind"}, Sin{"stop_fails", "swap", "stays mapped"},
                    Sin{"thread_stays", "swap", "stays mapped"}, Sin{"thread_stays", "load", "left a thread behind"},
                    Sin{"careless_leaks_a_thread", "load", "it stays mapped"},
                    Sin{"needs_missing", "lifecycle", "--with"}, Sin{"crash_in_start", "lifecycle", "signal 11"},
                    Sin{"careless_crashes_on_an_array", "fuzz", "signal 11 (SIGSEGV), in call"},
                    Sin{"careless_speaks_no_utf8", "flynn.database/1 it says how it is", "caf\\xe9 is closed"},
                    Sin{"careless_keeps_a_descriptor", "swap", "descriptors were left open"},
                    Sin{"careless_wrong_reply", "flynn.database/1 answers", "key state"},
                    Sin{"careless_takes_any_type", "flynn.database/1 methods", "must answer invalid_argument"},
                    Sin{"careless_crashes_in_a_constructor", "load", "signal 11 (SIGSEGV), in its constructors"},
                    Sin{"careless_loops_in_a_constructor", "load", "not done after 8 s, in its constructors"},
                    Sin{"careless_leaks_memory", "cycles", "memory grew by"},
                    Sin{"careless_leaks_a_descriptor", "cycles", "descriptors grew from"},
                    Sin{"careless_leaks_a_thread", "cycles", "cycle 1: it stays mapped"},
                    Sin{"lender_crashes_on_a_closed_descriptor", "hostile", "signal 11 (SIGSEGV), in Put"},
                    Sin{"lender_closes_what_is_lent", "hostile", "has closed the descriptor that it was lent"},
                    Sin{"no_note", "cycles", "no .note.flynn"}, Sin{"no_note", "swap", "no .note.flynn"},
                    Sin{"no_note", "hostile", "no .note.flynn"}, Sin{"no_note", "fuzz", "no .note.flynn"},
                    Sin{"missing_library", "load", "libzoo_gone.so: cannot open shared object file"},
                    Sin{"missing_symbol", "load", "load animal: undefined symbol: zoo_nobody_has_this; link it"},
                    Sin{"sick_after_flip", "start", "fell ill at work"},
                    Sin{"careless_exits", "start", "exit code 0 (a plugin must not call exit"},
                    Sin{"careless_leaves_a_process", "lifecycle", "still runs: what start starts, stop must end"},
                    Sin{"careless_undocumented_error", "flynn.database/1 answers", "cancelled: not today"}),
    [](const auto& sin) { return std::string(sin.param.animal) + "_" + std::to_string(sin.index); });

TEST(Checker, PassesOneThatBehaves) {
  const auto checked = check("prisoner");

  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  EXPECT_GE(checked.checks.size(), 8u);
  EXPECT_EQ(checked.checks.at("test.prisoner/1").first, "skip") << "a third party's interface has no contract here";
}

// An animal has one sin, and a good one none.
TEST(Checker, PassesTheGoodOnesOfTheZoo) {
  for (const auto* animal : {"good", "exclusive_2", "provides_more"})
    EXPECT_EQ(check(animal, {"--only", "hostile"}).exit_code, 0) << animal;
}

TEST(Checker, PrintsOneDocumentWhateverThePluginPrints) {
  const auto ran = run_apart({FLYNN_PLUGIN, "check", file_of("careless_prints"), "--json", "--only", "start"});

  EXPECT_EQ(ran.exit_code, 0);
  const auto document = parse_json_object(ran.out);
  ASSERT_TRUE(document.ok()) << ran.out;
  EXPECT_EQ(int_or(*document, "passed"), 1);
  EXPECT_NE(ran.err.find("this is not the report"), std::string::npos) << "but its author can see it";
}

TEST(Checker, PrintsOneDocumentAboutAFileThatCanNotBeRead) {
  const auto ran = run_apart({FLYNN_PLUGIN, "check", "/no/such/file.so", "--json", "--only", "fuzz"});

  EXPECT_EQ(ran.exit_code, 1);
  const auto document = parse_json_object(ran.out);
  ASSERT_TRUE(document.ok()) << ran.out;
  const auto& check = document->at("checks").as_array().at(0).as_object();
  EXPECT_EQ(string_or(check, "check"), "manifest");
  EXPECT_NE(string_or(check, "words").find("No such file"), std::string::npos) << ran.out;
}

TEST(Checker, ShowsWhatCanNotBeJudgedHereAndWhy) {
  const auto checked = check("careless_good");

  EXPECT_EQ(checked.exit_code, 0) << checked.out;
  const auto& [outcome, words] =
      checked.checks.at("flynn.database/1 a database is made with credentials of its own, and goes");
  EXPECT_EQ(outcome, "skip");
  EXPECT_NE(words.find("the server starts"), std::string::npos) << words;
  EXPECT_NE(checked.checks.at("flynn.database/1 answers").second.find("not judged here: Provision"), std::string::npos);
}

TEST(Checker, PassesCWithoutAnSdkThatMindsItsDescriptors) {
  EXPECT_EQ(check("lender_good", {"--only", "hostile"}).checks.at("hostile").first, "pass");
}

// What can't be loaded, or not started, fails once and with its reason; nothing after it is tried.
TEST(Checker, JudgesNothingBehindWhatFailed) {
  const std::map<std::string, std::string> gates{
      {"no_note", "manifest"}, {"careless_crashes_in_a_constructor", "load"}, {"start_fails", "start"}};
  for (const auto& [animal, gate] : gates) {
    const auto checked = check(animal);

    EXPECT_EQ(checked.exit_code, 1) << checked.out;
    EXPECT_EQ(checked.checks.at(gate).first, "fail") << checked.out;
    EXPECT_EQ(checked.checks.at("fuzz").first, "skip") << checked.out;
    EXPECT_EQ(checked.checks.at("fuzz").second, "not judged, since the check \"" + gate + "\" failed");
  }
}

TEST(Checker, RefusesWhatIsNoPluginInOneLineThatSaysWhatToGive) {
  std::string folder = testing::TempDir() + "checker.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/letter.so") << "Dear reader";

  for (const auto& file : {folder + "/letter.so", folder}) {
    const auto ran = e2e::run({FLYNN_PLUGIN, "check", file, "--only-failed"});

    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_TRUE(ran.out.starts_with("FAIL  the manifest")) << ran.out;
    EXPECT_NE(ran.out.find("build/NAME.so"), std::string::npos) << ran.out;
    EXPECT_EQ(ran.out.find("FAIL", 4), std::string::npos) << ran.out;
    EXPECT_EQ(ran.out.find("terminate"), std::string::npos) << ran.out;
  }
  std::filesystem::remove_all(folder);
}

TEST(Checker, SaysWhichProviderCanNotBeLoaded) {
  const auto checked = check("good", {"--only", "start", "--with", file_of("no_note")});

  EXPECT_EQ(checked.exit_code, 1) << checked.out;
  EXPECT_NE(checked.checks.at("start").second.find("zoo_no_note.so can't be loaded"), std::string::npos) << checked.out;
}

TEST(Checker, JudgesThePluginAndItsContractApart) {
  const auto plugin = check("careless_wrong_reply", {"--only", "plugin"});
  const auto contract = check("careless_wrong_reply", {"--only", "contract", "--only-failed"});

  EXPECT_EQ(plugin.exit_code, 0) << plugin.out;
  EXPECT_TRUE(plugin.checks.contains("fuzz") && !plugin.checks.contains("flynn.database/1 answers")) << plugin.out;
  EXPECT_EQ(contract.exit_code, 1) << contract.out;
  EXPECT_TRUE(contract.checks.contains("flynn.database/1 answers")) << contract.out;
  for (const auto& [name, verdict] : contract.checks) EXPECT_EQ(verdict.first, "fail") << name << ": --only-failed";
}

TEST(Checker, FindsTheSameCrashAgainWithTheSeedThatItShowed) {
  const auto first = check("careless_crashes_on_an_array", {"--only", "fuzz"}).checks["fuzz"].second;
  const auto second = check("careless_crashes_on_an_array", {"--only", "fuzz"}).checks["fuzz"].second;

  EXPECT_NE(first.find("(--seed 1 repeats it)"), std::string::npos) << first;
  EXPECT_EQ(first, second);
}

TEST(Checker, LeavesNothingOfACrashBehind) {
  std::string folder = testing::TempDir() + "checker.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);

  const auto checked = check("crash_in_start", {"--only", "lifecycle"}, {.env = {{"TMPDIR", folder}}});

  EXPECT_EQ(checked.exit_code, 1) << checked.out;
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove_all(folder);
}

// Neither a daemon that a plugin has made, nor, after Ctrl-C, the process and the folder of the check that ran.
TEST(Checker, LeavesNothingBehindWhenItIsInterrupted) {
  std::string folder = testing::TempDir() + "checker.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto is_empty = [&folder] { return std::filesystem::is_empty(folder); };
  const auto is_running = [&folder] { return !processes_with("TMPDIR=" + folder + "/").empty(); };

  auto checker =
      e2e::Background::start({FLYNN_PLUGIN, "check", file_of("careless_loops_in_a_constructor"), "--only", "load"},
                             {.env = {{"TMPDIR", folder}}}, folder + ".log");
  ASSERT_TRUE(e2e::eventually(30s, is_running));
  checker.signal(SIGINT);

  EXPECT_TRUE(e2e::eventually(30s, is_empty));
  EXPECT_TRUE(e2e::eventually(30s, [&] { return !is_running(); }));
  EXPECT_TRUE(checker.stop(30s));
  EXPECT_EQ(check("careless_leaves_a_process", {"--only", "start"}, {.env = {{"TMPDIR", folder}}}).exit_code, 0);
  EXPECT_FALSE(is_running());
  EXPECT_TRUE(is_empty());
  std::filesystem::remove_all(folder);
  std::filesystem::remove(folder + ".log");
}

TEST(Checker, KnowsNoCheckOfAnotherName) {
  const auto ran = e2e::run({FLYNN_PLUGIN, "check", file_of("good"), "--only", "lifecycel"});

  EXPECT_EQ(ran.exit_code, 64);
  EXPECT_NE(ran.out.find("there are:\n  manifest\n  symbols"), std::string::npos) << ran.out;
}

TEST(Checker, ShowsOnlyWhatFailed) {
  const auto ran = e2e::run(
      {FLYNN_PLUGIN, "check", std::string(ZOO_DIR) + "/zoo_extra_export.so", "--only-failed", "--only", "symbols"});

  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_TRUE(ran.out.starts_with("FAIL")) << ran.out;
  EXPECT_NE(ran.out.find("--only 'symbols'\n"), std::string::npos) << ran.out;
}

TEST(Checker, HelpsWhoAsks) {
  for (const auto* command : {"new", "check", "dev"}) {
    const auto ran = e2e::run({FLYNN_PLUGIN, command, "--help"});

    EXPECT_EQ(ran.exit_code, 0) << ran.out;
    EXPECT_TRUE(ran.out.starts_with(std::string("usage: flynn-plugin ") + command)) << ran.out;
  }
}

TEST(Checker, SaysWhatItDoesNotUnderstand) {
  const auto unknown = e2e::run({FLYNN_PLUGIN, "frob"});
  EXPECT_EQ(unknown.exit_code, 64);
  EXPECT_TRUE(unknown.out.starts_with("flynn-plugin: there is no command \"frob\"")) << unknown.out;
  EXPECT_EQ(e2e::run({FLYNN_PLUGIN, "check"}).exit_code, 64);
  EXPECT_EQ(e2e::run({FLYNN_PLUGIN, "check", "x.so", "--frob"}).exit_code, 64);
  EXPECT_EQ(e2e::run({FLYNN_PLUGIN, "check", "x.so", "--seed", "seven"}).exit_code, 64);
  const auto gone = e2e::run({FLYNN_PLUGIN, "check", "/no/such/file.so"});
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_NE(gone.out.find("No such file"), std::string::npos) << gone.out;
  EXPECT_NE(gone.out.find("build/NAME.so"), std::string::npos) << gone.out;
}

}  // namespace
}  // namespace flynn
