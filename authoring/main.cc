// flynn-plugin: new, check, dev.
#include <cstdio>
#include <string>
#include <vector>

#include "check_command.h"
#include "child.h"
#include "dev_command.h"
#include "new_command.h"

namespace {

constexpr const char* kUsage =
    "usage: flynn-plugin new NAME --implements flynn.database/1 --lang c|cpp [--dir DIR]\n"
    "                                              writes a project that builds, tests and loads\n"
    "       flynn-plugin check FILE.so [OPTION]…   judges a plugin as the host does, and by its contracts\n"
    "       flynn-plugin dev [DIR] [--slot SLOT]   builds at each change, swaps it into the running node, shows its "
    "log\n"
    "docs/guides/write-a-plugin.md leads through all three.\n";

}  // namespace

int main(int argc, char** argv) {
  using namespace flynn::authoring;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string command = words.empty() ? "" : words[0];
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "new") return run_new(rest);
  if (command == "check") return run_check(rest);
  if (command == "check-one") return run_one_check(rest);
  if (command == "dev") return run_dev(rest);
  if (command == "cage") return flynn::core::run_cage();
  const bool help = command == "help" || command == "--help" || command == "-h";
  if (!help && !command.empty()) std::fprintf(stderr, "flynn-plugin: there is no command \"%s\"\n", command.c_str());
  std::fputs(kUsage, help ? stdout : stderr);
  return help ? 0 : 64;
}
