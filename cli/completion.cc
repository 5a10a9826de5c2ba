#include "completion.h"

#include <algorithm>
#include <map>
#include <set>

namespace flynn::cli {
namespace {

std::vector<std::string> option_words(const CompletionState& state) {
  std::vector<std::string> words;
  for (const Option& option : state.options) {
    words.push_back("--" + std::string(option.name));
    if (option.letter != 0) words.push_back(std::string("-") + option.letter);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Options whose value is the next word, for any command: they are stepped over when the words are counted.
std::string value_options(std::span<const Command> table) {
  std::set<std::string> found;
  const auto take = [&](const std::vector<Option>& options) {
    for (const Option& option : options) {
      if (!option.value.empty()) found.insert("--" + std::string(option.name));
    }
  };
  take(global_options());
  for (const Command& command : table) take(command.options);
  found.insert({"-a", "-c"});
  std::string text;
  for (const std::string& option : found) text += (text.empty() ? "" : "|") + option;
  return text;
}

/// The table as a shell function, the same for bash and zsh: sets next and opts for the longest known words.
std::string state_function(std::span<const Command> table) {
  std::string text =
      "_flynn_state() {\n"
      "  local words=\"\" word skip=0\n"
      "  for word in \"$@\"; do\n"
      "    if [ $skip = 1 ]; then skip=0; continue; fi\n"
      "    case \"$word\" in\n"
      "    " +
      value_options(table) +
      ") skip=1 ;;\n"
      "    -*) ;;\n"
      "    *) words=\"${words:+$words }$word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  while :; do\n"
      "    case \"$words\" in\n";
  for (const CompletionState& state : completion_states(table)) {
    text += "    \"" + state.words + "\") next=\"" + joined(state.next) + "\" opts=\"" + joined(option_words(state)) +
            "\"; return ;;\n";
  }
  return text +
         "    *\" \"*) words=\"${words% *}\" ;;\n"
         "    *) next=\"\" opts=\"\"; return ;;\n"
         "    esac\n"
         "  done\n"
         "}\n";
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

std::vector<CompletionState> completion_states(std::span<const Command> table) {
  std::map<std::string, std::set<std::string>> next;
  std::map<std::string, const Command*> commands;
  next[""].insert("help");
  for (const Command& command : table) {
    if (command.hidden) continue;
    const std::string name(command.name);
    commands[name] = &command;
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find(' ', begin), name.size());
      next[begin == 0 ? "" : name.substr(0, begin - 1)].insert(name.substr(begin, end - begin));
      next[name.substr(0, end)];
      begin = end + 1;
    }
  }
  std::vector<CompletionState> states;
  for (const auto& [words, following] : next) {
    const auto command = commands.find(words);
    states.push_back({words,
                      {following.begin(), following.end()},
                      command != commands.end() ? all_options(*command->second) : global_options()});
  }
  return states;
}

std::string bash_completion(std::span<const Command> table) {
  return "# bash completion of flynn: source <(flynn completion bash)\n" + state_function(table) +
         "_flynn() {\n"
         "  local next=\"\" opts=\"\" current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
         "  _flynn_state \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
         "  case \"$current\" in\n"
         "  -*) mapfile -t COMPREPLY < <(compgen -W \"$opts\" -- \"$current\") ;;\n"
         "  *) mapfile -t COMPREPLY < <(compgen -W \"$next\" -- \"$current\") ;;\n"
         "  esac\n"
         "}\n"
         "complete -o default -F _flynn flynn\n";
}

std::string zsh_completion(std::span<const Command> table) {
  return "#compdef flynn\n# zsh completion of flynn: source <(flynn completion zsh)\n" + state_function(table) +
         "_flynn() {\n"
         "  local next=\"\" opts=\"\"\n"
         "  _flynn_state \"${(@)words[2,CURRENT-1]}\"\n"
         "  if [[ \"${words[CURRENT]}\" == -* ]]; then compadd -- ${=opts}\n"
         "  elif [[ -n \"$next\" ]]; then compadd -- ${=next}\n"
         "  else _files; fi\n"
         "}\n"
         "if (( $+functions[compdef] )); then compdef _flynn flynn; fi\n";
}

std::string fish_completion(std::span<const Command> table) {
  std::string text =
      "# fish completion of flynn: flynn completion fish | source\n"
      "function __flynn_at\n"
      "  set -l words\n"
      "  set -l skip 0\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    if test $skip = 1; set skip 0; continue; end\n"
      "    switch $word\n"
      "      case ";
  std::string values = value_options(table);
  std::replace(values.begin(), values.end(), '|', ' ');
  text += values +
          "\n        set skip 1\n"
          "      case '-*'\n"
          "      case '*'\n        set -a words $word\n"
          "    end\n"
          "  end\n"
          "  set -l joined (string join ' ' -- $words)\n"
          "  test \"$joined\" = \"$argv[1]\"; and return 0\n"
          "  test -n \"$argv[2]\"; and string match -q -- \"$argv[1] *\" $joined\n"
          "end\n"
          "complete -c flynn -f\n";
  for (const CompletionState& state : completion_states(table)) {
    const std::string at = "complete -c flynn -n \"__flynn_at " + fish_quoted(state.words);
    for (const std::string& word : state.next) text += at + "\" -a " + word + "\n";
    for (const Option& option : state.options) {
      text += at + (state.next.empty() ? " more" : "") + "\" -l " + std::string(option.name);
      if (option.letter != 0) text += std::string(" -s ") + option.letter;
      if (!option.value.empty()) text += " -r";
      text += " -d " + fish_quoted(option.help) + "\n";
    }
  }
  return text;
}

}  // namespace flynn::cli
