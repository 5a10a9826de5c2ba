#include "git_command.h"

namespace flynn::builder {
namespace {

constexpr std::size_t kNameBytesMax = 100;

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '-') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace

Result<std::string> app_of_repository(std::string_view name) {
  if (name.ends_with(".git")) name.remove_suffix(4);
  if (!is_name(name)) return Error{Code::invalid_argument, "Invalid repository name; it is <app>.git"};
  return std::string(name);
}

Result<std::string> parse_git_command(std::string_view command) {
  for (std::string_view verb : {"git-receive-pack ", "git receive-pack "}) {
    if (!command.starts_with(verb)) continue;
    command.remove_prefix(verb.size());
    if (command.size() >= 2 && command.front() == '\'' && command.back() == '\'')
      command = command.substr(1, command.size() - 2);
    while (command.starts_with('/')) command.remove_prefix(1);
    return app_of_repository(command);
  }
  return Error{Code::invalid_argument, "Only `git push` is supported here."};
}

}  // namespace flynn::builder
