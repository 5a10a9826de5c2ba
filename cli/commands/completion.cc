#include "../completion.h"

#include <ostream>

#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<int> completion(Session& session, const Arguments& arguments) {
  const std::string shell = arguments.at(0);
  if (shell == "bash") return session.out() << bash_completion(command_table()), 0;
  if (shell == "zsh") return session.out() << zsh_completion(command_table()), 0;
  if (shell == "fish") return session.out() << fish_completion(command_table()), 0;
  return usage_error("no completion for \"" + shell + "\"", "flynn completion bash, zsh or fish");
}

}  // namespace

CommandList completion_commands() {
  return {{"completion",
           "bash|zsh|fish",
           "Print what a shell needs to complete commands: source <(flynn completion bash)",
           {},
           1,
           1,
           completion}};
}

}  // namespace flynn::cli
