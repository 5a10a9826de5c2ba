// Help, manual pages, completion and the reference of documents: all say what the table of commands says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "command.h"
#include "command_facts.h"
#include "completion.h"
#include "help.h"
#include "man.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Reference, HasTheFactsOfEveryCommand) {
  std::set<std::string_view> names;
  for (const Command& command : command_table()) {
    EXPECT_NE(facts_of(command.name), nullptr) << command.name << " is not in command_facts.cc";
    EXPECT_FALSE(command.document.empty()) << command.name;
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " is twice in the table";
  }
}

TEST(Reference, HelpShowsEveryCommandAndOption) {
  for (const Command& command : command_table()) {
    std::ostringstream help;
    ASSERT_TRUE(print_help(help, command_table(), std::vector<std::string>{std::string(command.name)}));
    EXPECT_NE(help.str().find("usage: flynn " + std::string(command.name)), std::string::npos);
    for (const Option& option : all_options(command))
      EXPECT_NE(help.str().find("--" + std::string(option.name)), std::string::npos) << command.name << option.name;
  }
}

TEST(Reference, EveryCommandAndOptionHasItsPlaceInTheManual) {
  Program flynn;
  ASSERT_EQ(flynn.run({"help", "--man", "man"}).code, 0);
  const std::string overview = content(flynn.folder() + "/man/flynn.1");
  for (const Command& command : command_table()) {
    if (command.hidden) continue;
    EXPECT_NE(overview.find("\\fB" + std::string(command.name.substr(0, command.name.find('-')))), std::string::npos);
    std::string page = content(flynn.folder() + "/man/" + man_name(command.name) + ".1");
    ASSERT_FALSE(page.empty()) << command.name;
    for (std::size_t at = 0; (at = page.find("\\-", at)) != std::string::npos;) page.replace(at, 2, "-");
    for (const Option& option : all_options(command))
      EXPECT_NE(page.find("--" + std::string(option.name)), std::string::npos) << command.name << option.name;
  }
}

TEST(Reference, TheDocumentOfJsonIsTheTablesOwn) {
  EXPECT_EQ(content(std::string(FLYNN_SOURCE) + "/docs/cli-json.md"), document_reference(command_table()))
      << "write it anew: flynn help --documents >docs/cli-json.md";
}

void expect_all(const CompletionState& state, const std::set<std::string>& words,
                const std::set<std::string>& options) {
  for (const std::string& word : state.next) EXPECT_TRUE(words.contains(word)) << state.words << " + " << word;
  for (const Option& option : state.options)
    EXPECT_TRUE(options.contains("--" + std::string(option.name))) << state.words << " --" << option.name;
}

/// One run of the shell for the whole table prints what it offers at each state, each time after "@@".
std::vector<std::set<std::string>> by_state(const std::string& text) {
  std::vector<std::set<std::string>> groups;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    if (word == "@@") {
      groups.emplace_back();
    } else if (!groups.empty()) {
      groups.back().insert(word);
    }
  }
  return groups;
}

struct Shell : ::testing::Test {
  Program folder;
  std::vector<CompletionState> states = completion_states(command_table());

  void check(const std::string& shell, const std::string& completion, const std::string& asks) {
    const std::string script = folder.folder() + "/script";
    std::ofstream(script) << completion << asks;
    const Outcome outcome = folder.run_other({shell, script});
    if (outcome.code == 127) GTEST_SKIP() << shell << " is not installed";
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto groups = by_state(outcome.out);
    ASSERT_EQ(groups.size(), states.size() * 2) << outcome.err;
    for (std::size_t i = 0; i < states.size(); ++i) expect_all(states[i], groups[2 * i], groups[2 * i + 1]);
  }
};

TEST_F(Shell, BashOffersEveryCommandAndOption) {
  std::string asks = "ask() { COMP_WORDS=(flynn \"$@\"); COMP_CWORD=$#; _flynn; echo \"@@ ${COMPREPLY[*]}\"; }\n";
  for (const CompletionState& state : states) asks += "ask " + state.words + " ''\nask -a web " + state.words + " -\n";
  check("bash", bash_completion(command_table()), asks);
}

TEST_F(Shell, ZshOffersEveryCommandAndOption) {
  // compadd works inside of a completion only: a function of that name shows what it would be given.
  std::string asks =
      "compadd() { shift; echo \"$@\" }\n_files() {}\n"
      "ask() { words=(flynn \"$@\"); CURRENT=$#words; echo '@@'; _flynn }\n";
  for (const CompletionState& state : states) asks += "ask " + state.words + " ''\nask -a web " + state.words + " -\n";
  check("zsh", zsh_completion(command_table()), asks);
}

TEST_F(Shell, FishOffersEveryCommandAndOption) {
  std::string asks;
  for (const CompletionState& state : states) {
    const std::string line = state.words.empty() ? "" : state.words + " ";
    asks += "echo @@; complete -C 'flynn " + line + "'\necho @@; complete -C 'flynn " + line + "--'\n";
  }
  check("fish", fish_completion(command_table()), asks);
}

}  // namespace
}  // namespace flynn::cli::testing
