#include "command.h"

#include <getopt.h>

#include <algorithm>

namespace flynn::cli {
namespace {

constexpr int kLongOnly = 256;  // getopt's codes of options without a letter start here

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  while (!name.empty()) {
    const auto space = name.find(' ');
    words.emplace_back(name.substr(0, space));
    name.remove_prefix(space == std::string_view::npos ? name.size() : space + 1);
  }
  return words;
}

bool begins_with(std::span<const std::string> longer, std::span<const std::string> shorter) {
  return shorter.size() <= longer.size() && std::equal(shorter.begin(), shorter.end(), longer.begin());
}

/// getopt_long over a table of options. glibc's parser keeps its state in globals: one at a time.
class OptionScan {
 public:
  OptionScan(const std::vector<Option>& options, OptionOrder order, std::vector<std::string> line)
      : options_(options), line_(std::move(line)) {
    letters_ = order == OptionOrder::kBeforeArguments ? "+:" : ":";
    for (std::size_t i = 0; i < options.size(); ++i) {
      const Option& option = options[i];
      names_.emplace_back(option.name);
      if (option.letter == 0) continue;
      letters_ += option.letter;
      if (!option.value.empty()) letters_ += ':';
    }
    for (std::size_t i = 0; i < options.size(); ++i) {
      const int code = options[i].letter != 0 ? options[i].letter : kLongOnly + static_cast<int>(i);
      longs_.push_back({names_[i].c_str(), options[i].value.empty() ? no_argument : required_argument, nullptr, code});
    }
    longs_.push_back({});
  }

  Result<Arguments> run() {
    std::string program = "flynn";
    std::vector<char*> argv{program.data()};
    for (std::string& word : line_) argv.push_back(word.data());
    const int argc = static_cast<int>(argv.size());
    argv.push_back(nullptr);

    Arguments arguments;
    optind = 0;  // glibc: start anew
    opterr = 0;
    for (;;) {
      const int before = optind;
      const int code = getopt_long(argc, argv.data(), letters_.c_str(), longs_.data(), nullptr);
      if (code == -1) break;
      if (code == '?' || code == ':') return refuse(code, argv[static_cast<std::size_t>(std::max(before, 1))]);
      arguments.options[std::string(option_of(code).name)] = optarg != nullptr ? optarg : "";
    }
    arguments.values.assign(argv.begin() + optind, argv.begin() + argc);
    return arguments;
  }

 private:
  const Option& option_of(int code) const {
    if (code >= kLongOnly) return options_[static_cast<std::size_t>(code - kLongOnly)];
    return *std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.letter == code; });
  }

  static Error refuse(int code, std::string_view word) {
    std::string name =
        optopt != 0 && optopt < kLongOnly ? std::string("-") + static_cast<char>(optopt) : std::string(word);
    return usage_error(code == ':' ? "option " + name + " needs a value" : "unknown option " + name);
  }

  const std::vector<Option>& options_;
  std::vector<std::string> line_;
  std::vector<std::string> names_;
  std::vector<option> longs_;
  std::string letters_;
};

Status check_count(const Command& command, std::size_t count) {
  if (count < static_cast<std::size_t>(command.values_min)) {
    return usage_error("flynn " + std::string(command.name) +
                       ": missing argument, expected: " + std::string(command.arguments));
  }
  if (command.values_max != kAny && count > static_cast<std::size_t>(command.values_max)) {
    return usage_error("flynn " + std::string(command.name) + ": too many arguments");
  }
  return Done{};
}

// --help and --version stand for a command of their own; --plan is for what changes something.
bool may_follow(const Command& command, const Option& global) {
  if (global.name == "help" || global.name == "version") return false;
  return global.name != "plan" || command.effect != Effect::kReads;
}

bool has_own(const Command& command, std::string_view name) {
  const auto& own = command.options;
  return std::any_of(own.begin(), own.end(), [&](const Option& option) { return option.name == name; });
}

// Given after the command, a global option means the same as before it.
void take_globals(Invocation& invocation, const Command& command) {
  for (const Option& global : global_options()) {
    if (!may_follow(command, global) || has_own(command, global.name)) continue;
    if (auto given = invocation.arguments.options.extract(std::string(global.name)))
      invocation.globals.options[given.key()] = given.mapped();
  }
}

}  // namespace

const std::vector<Option>& global_options() {
  static const std::vector<Option> options = {
      {'a', "app", "app", "the app (default: FLYNN_APP, else the git remote of this folder)"},
      {'c', "cluster", "cluster", "the cluster (default: FLYNN_CLUSTER, else the default of .flynnrc)"},
      {0, "json", "", "print one JSON document instead of text (docs/cli-json.md); errors too"},
      {0, "plan", "", "show what would change, and how to undo it, and change nothing"},
      {'h', "help", "", "show help"},
      {'v', "version", "", "show the version"},
  };
  return options;
}

// `flynn ps -a web` is what users of Heroku type; `-a` of ps keeps its own meaning, --app the global one.
std::vector<Option> all_options(const Command& command) {
  auto options = command.options;
  options.push_back({0, "help", "", "show this help"});
  for (Option global : global_options()) {
    if (!may_follow(command, global) || has_own(command, global.name)) continue;
    const auto& own = command.options;
    const auto same = [&](const Option& option) { return option.letter == global.letter; };
    if (std::any_of(own.begin(), own.end(), same)) global.letter = 0;
    options.push_back(global);
  }
  return options;
}

const Command* find_command(std::span<const Command> table, std::span<const std::string> words) {
  const Command* best = nullptr;
  std::size_t best_length = 0;
  for (const Command& command : table) {
    const auto name = words_of(command.name);
    if (name.size() > best_length && begins_with(words, name)) {
      best = &command;
      best_length = name.size();
    }
  }
  return best;
}

bool is_command_prefix(std::span<const Command> table, std::span<const std::string> words) {
  return std::any_of(table.begin(), table.end(),
                     [&](const Command& command) { return begins_with(words_of(command.name), words); });
}

Result<Invocation> parse_command_line(std::span<const Command> table, const std::vector<std::string>& line) {
  Invocation invocation;
  auto globals = OptionScan(global_options(), OptionOrder::kBeforeArguments, line).run();
  if (!globals) return globals.error().advise("See 'flynn help'.");
  invocation.globals = std::move(*globals);
  invocation.words = invocation.globals.values;
  invocation.command = find_command(table, invocation.words);
  if (invocation.command == nullptr) return invocation;

  const Command& command = *invocation.command;
  const auto name_length = static_cast<std::ptrdiff_t>(words_of(command.name).size());
  const std::vector<std::string> rest(invocation.words.begin() + name_length, invocation.words.end());
  const auto options = all_options(command);
  const std::string see = "See 'flynn help " + std::string(command.name) + "'.";
  auto arguments = OptionScan(options, command.order, rest).run();
  if (!arguments) return arguments.error().context("flynn " + std::string(command.name)).advise(see);
  invocation.arguments = std::move(*arguments);
  take_globals(invocation, command);
  if (invocation.arguments.has("help")) return invocation;
  if (auto counted = check_count(command, invocation.arguments.values.size()); !counted) {
    return counted.error().advise(see);
  }
  return invocation;
}

}  // namespace flynn::cli
