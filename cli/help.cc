#include "help.h"

#include <ostream>
#include <set>
#include <sstream>

#include "documents.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kNameColumn = 14;
constexpr std::size_t kOptionColumn = 30;

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + " ";
}

std::string option_text(const Option& option) {
  std::string text = option.letter != 0 ? std::string("-") + option.letter + ", " : "    ";
  text += "--" + std::string(option.name);
  if (!option.value.empty()) text += " <" + std::string(option.value) + ">";
  return text;
}

std::string usage_line(const Command& command) {
  std::string line = "usage: flynn " + std::string(command.name);
  line += " [options]";
  if (!command.arguments.empty()) line += " " + std::string(command.arguments);
  return line;
}

void print_options(std::ostream& out, const std::vector<Option>& options) {
  for (const Option& option : options) {
    out << "    " << padded(option_text(option), kOptionColumn) << option.help << '\n';
  }
}

void print_command(std::ostream& out, const Command& command) {
  out << usage_line(command) << "\n\n    " << command.summary << "\n\noptions:\n";
  print_options(out, all_options(command));
}

bool name_starts_with(const Command& command, const std::string& words) {
  return command.name == words || command.name.starts_with(words + " ");
}

}  // namespace

void print_overview(std::ostream& out, std::span<const Command> table) {
  out << "usage: flynn [-a <app>] [-c <cluster>] [--json] <command> [--plan] [<args>...]\n\noptions:\n";
  print_options(out, global_options());
  out << "\ncommands:\n";
  std::set<std::string_view> shown;
  for (const Command& command : table) {
    const std::string_view first = command.name.substr(0, command.name.find(' '));
    if (command.hidden || !shown.insert(first).second) continue;
    out << "    " << padded(std::string(first), kNameColumn) << command.summary << '\n';
  }
  out << "\nSee 'flynn help <command>' for more information on a specific command, and 'flynn help <code>' for the "
         "code\n"
         "with which an error ends. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 key not accepted, 5 nothing\n"
         "answers, 6 conflict, 7 timeout.\n";
}

bool print_help(std::ostream& out, std::span<const Command> table, std::span<const std::string> words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : " ") + word;
  bool any = false;
  for (const Command& command : table) {
    if (!name_starts_with(command, joined)) continue;
    if (any) out << '\n';
    print_command(out, command);
    any = true;
  }
  return any;
}

void print_help_json(std::ostream& out, std::span<const Command> table) {
  json::object usage;
  for (const Command& command : table) {
    if (command.hidden) continue;
    std::ostringstream text;
    print_command(text, command);
    usage[command.name] = text.str();
  }
  out << json::serialize(usage) << '\n';
}

}  // namespace flynn::cli
