#include "check_command.h"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "check_process.h"
#include "checks.h"
#include "help.h"

namespace flynn::authoring {
namespace {

constexpr const char* kUsage =
    "usage: flynn-plugin check FILE.so [--with PROVIDER.so[=FILE.json]]… [--config FILE.json] [--seed N] [--only "
    "NAME]\n"
    "                          [--only-failed] [--json]\n"
    "--with gives what the plugin requires (a store, say), with its configuration; --only runs one check, those of a\n"
    "\"plugin\" or those of the \"contract\". Each check runs in a process of its own; what the plugin prints goes to "
    "stderr.\n"
    "--only-failed shows what failed alone; --json prints one document {plugin, seed, checks, passed, failed, "
    "skipped}.\n"
    "Exit code: 0 nothing failed, 1 a check failed, 64 the words are not understood, 128 + N ended by signal N.\n";

struct Options {
  Trial trial;
  std::vector<std::string> words;  // as given, for the child
  std::string only;
  bool json = false, only_failed = false;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return errno_error(errno, "open " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// FILE.so, or FILE.so=CONFIG.json.
Result<Provider> provider_of(const std::string& word) {
  const auto sign = word.rfind(".so=");
  if (sign == std::string::npos) return Provider{word};
  const auto end = sign + std::string_view(".so").size();
  auto text = read_file(word.substr(end + 1));
  if (!text) return text.error();
  return Provider{word.substr(0, end), *text};
}

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  options.trial.seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  options.words = arguments;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& word = arguments[i];
    const auto value = [&]() -> Result<std::string> {
      if (++i < arguments.size()) return arguments[i];
      return Error{Code::invalid_argument, word + " wants a value"};
    };
    if (word == "--json") {
      options.json = true;
    } else if (word == "--only-failed") {
      options.only_failed = true;
    } else if (word == "--with" || word == "--config" || word == "--seed" || word == "--only") {
      auto given = value();
      if (!given) return given.error();
      if (word == "--with") {
        auto provider = provider_of(*given);
        if (!provider) return provider.error();
        options.trial.with.push_back(std::move(*provider));
      }
      if (word == "--only") options.only = *given;
      if (word == "--seed") {
        const auto read = std::from_chars(given->data(), given->data() + given->size(), options.trial.seed);
        if (read.ec != std::errc() || read.ptr != given->data() + given->size())
          return Error{Code::invalid_argument, "--seed wants a whole number, not \"" + *given + "\""};
      }
      if (word == "--config") {
        auto text = read_file(*given);
        if (!text) return text.error();
        options.trial.config_json = *text;
      }
    } else if (word.starts_with("-") || !options.trial.plugin.empty()) {
      return Error{Code::invalid_argument, "\"" + word + "\" is not understood"};
    } else {
      options.trial.plugin = word;
    }
  }
  if (options.trial.plugin.empty()) return Error{Code::invalid_argument, "which FILE.so?"};
  return options;
}

Verdict run_in_process(const Options& options, const Check& check) {
  std::vector<std::string> words{"check-one", check.name};
  words.insert(words.end(), options.words.begin(), options.words.end());
  words.push_back("--seed");
  words.push_back(std::to_string(options.trial.seed));
  auto verdict = run_check_process(words, check.limit);
  if (check.by_chance && verdict.outcome == Verdict::Outcome::fail)
    verdict.words += " (--seed " + std::to_string(options.trial.seed) + " repeats it)";
  return verdict;
}

bool is_chosen(const Check& check, const std::string& only) {
  if (only == "plugin") return !check.of_contract;
  if (only == "contract") return check.of_contract || check.name == "manifest";
  return only.empty() || check.name == only;
}

// Empty when one of the checks is chosen, else those that there are.
std::string unknown_check(const std::vector<Check>& checks, const std::string& only) {
  std::string names;
  for (const auto& check : checks) {
    if (is_chosen(check, only)) return {};
    names += "\n  " + check.name;
  }
  return names;
}

const char* shown(Verdict::Outcome outcome) {
  return outcome == Verdict::Outcome::fail ? "FAIL" : outcome_name(outcome);
}

}  // namespace

int run_check(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) return std::fputs(kUsage, stdout), 0;
  auto options = parse(arguments);
  if (!options) return std::fprintf(stderr, "flynn-plugin: %s\n%s", options.error().message.c_str(), kUsage), 64;
  // Whatever was asked for: there is nothing to judge but the file.
  if (::access(options->trial.plugin.c_str(), R_OK) != 0) options->only = "manifest";
  const auto checks = checks_for(options->trial);
  if (const auto names = unknown_check(checks, options->only); !names.empty())
    return std::fprintf(stderr, "flynn-plugin: there is no check \"%s\" for this plugin; there are:%s\n",
                        options->only.c_str(), names.c_str()),
           64;
  json::array report;
  int failed = 0, passed = 0, left_out = 0;
  std::string first_failed, closed_gate;
  for (const auto& check : checks) {
    if (!is_chosen(check, options->only)) continue;
    const auto verdict = closed_gate.empty() ? run_in_process(*options, check)
                                             : skip("not judged, since the check \"" + closed_gate + "\" failed");
    failed += verdict.outcome == Verdict::Outcome::fail ? 1 : 0;
    passed += verdict.outcome == Verdict::Outcome::pass ? 1 : 0;
    left_out += verdict.outcome == Verdict::Outcome::skip ? 1 : 0;
    if (verdict.outcome == Verdict::Outcome::fail) {
      if (first_failed.empty()) first_failed = check.name;
      if (check.is_gate) closed_gate = check.name;
    }
    if (options->only_failed && verdict.outcome != Verdict::Outcome::fail) continue;
    report.push_back(json::object{{"check", check.name},
                                  {"title", check.title},
                                  {"outcome", outcome_name(verdict.outcome)},
                                  {"words", verdict.words}});
    if (options->json) continue;
    std::printf("%s  %s%s%s\n", shown(verdict.outcome), check.title.c_str(), verdict.words.empty() ? "" : ": ",
                verdict.words.c_str());
    std::fflush(stdout);
  }
  if (options->json) {
    std::printf("%s\n", json::serialize(json::object{{"plugin", options->trial.plugin.string()},
                                                     {"seed", options->trial.seed},
                                                     {"checks", std::move(report)},
                                                     {"passed", passed},
                                                     {"failed", failed},
                                                     {"skipped", left_out}})
                            .c_str());
  } else {
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, left_out);
    if (failed > 0)
      std::printf("mend it, then judge that alone: flynn-plugin check %s --only '%s'\n", options->trial.plugin.c_str(),
                  first_failed.c_str());
  }
  return failed == 0 ? 0 : 1;
}

int run_one_check(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return 64;
  auto options = parse({arguments.begin() + 1, arguments.end()});
  if (!options) return 64;
  CheckReport report;
  options->trial.doing = [&report](const std::string& what) { report.doing(what); };
  std::signal(SIGPIPE, [](int) {});  // as the host
  for (const auto& check : checks_for(options->trial)) {
    if (check.name != arguments[0]) continue;
    report.verdict(check.run(options->trial));
    // Zombies may still run in images that exit handlers would destroy under them.
    ::_exit(0);
  }
  return 64;
}

}  // namespace flynn::authoring
