/// A command of `flynn` as data: the one table that parsing, dispatch and help read.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace flynn::cli {

class Session;

struct Option {
  char letter = 0;         // 0: only the long form
  std::string_view name;   // long form without dashes
  std::string_view value;  // what its value is called; empty for a switch
  std::string_view help;
};

/// What the user gave to a command: options by their long name, and arguments.
struct Arguments {
  std::map<std::string, std::string, std::less<>> options;
  std::vector<std::string> values;

  [[nodiscard]] bool has(std::string_view option) const { return options.find(option) != options.end(); }
  [[nodiscard]] std::string value(std::string_view option, std::string_view otherwise = {}) const {
    const auto found = options.find(option);
    return found != options.end() ? found->second : std::string(otherwise);
  }
  /// The argument at `index`, or "".
  [[nodiscard]] std::string at(std::size_t index) const { return index < values.size() ? values[index] : ""; }
};

enum class OptionOrder { kAnywhere, kBeforeArguments };

inline constexpr int kAny = -1;

/// What a command does to the world. What is not kReads takes --plan.
enum class Effect { kReads, kChanges, kDeletes };

struct Command {
  std::string_view name;  // words: "env set"
  std::string_view arguments;
  std::string_view summary;
  std::vector<Option> options;
  int values_min = 0;
  int values_max = 0;                                        // kAny: no limit
  Result<int> (*run)(Session&, const Arguments&) = nullptr;  // exit code
  OptionOrder order = OptionOrder::kAnywhere;
  bool hidden = false;  // called by programs, not by people
  Effect effect = Effect::kReads;
  std::string_view document = {};  // what it prints with --json, in the notation of docs/cli-json.md
};

using CommandList = std::vector<Command>;

/// Every command, families in the order in which help shows them.
std::span<const Command> command_table();

/// Where parsing ended: the command and what it was given, or the words that name no command.
struct Invocation {
  const Command* command = nullptr;
  Arguments arguments;
  Arguments globals;  // app, cluster, json, plan, help, version
  std::vector<std::string> words;
};

const std::vector<Option>& global_options();

/// The options that may follow the command: its own, and the global ones that it leaves free.
std::vector<Option> all_options(const Command& command);

/// Parses a command line without the program's name. `command` is null when no command was named.
Result<Invocation> parse_command_line(std::span<const Command> table, const std::vector<std::string>& line);

/// The command whose name is the longest prefix of `words`; null for none.
const Command* find_command(std::span<const Command> table, std::span<const std::string> words);

/// True if some command's name is `words` or begins with them.
bool is_command_prefix(std::span<const Command> table, std::span<const std::string> words);

}  // namespace flynn::cli
