#include <Poco/Net/NetSSL.h>
#include <Poco/Net/SSLManager.h>

#include <csignal>
#include <iostream>

#include "command.h"
#include "help.h"
#include "session.h"
#include "version.h"

namespace {

using namespace flynn::cli;

int report(const Error& error) {
  std::cout << std::flush;
  std::cerr << error.what << '\n';
  if (!error.next.empty()) std::cerr << error.next << '\n';
  return 1;
}

int show_help(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_overview(std::cout, command_table());
    return 0;
  }
  if (words.front() == "--json") {
    print_help_json(std::cout, command_table());
    return 0;
  }
  if (print_help(std::cout, command_table(), words)) return 0;
  return report(usage_error(words.front() + " is not a flynn command. See 'flynn help'"));
}

int run(const std::vector<std::string>& line) {
  // `help` is the one word that is no command: what follows it are names, not arguments.
  if (!line.empty() && line.front() == "help") return show_help({line.begin() + 1, line.end()});
  auto parsed = parse_command_line(command_table(), line);
  if (!parsed) return report(parsed.error());
  const Invocation& invocation = *parsed;
  if (invocation.globals.has("version")) {
    std::cout << kVersion << '\n';
    return 0;
  }
  const auto& words = invocation.words;
  if (invocation.globals.has("help") || words.empty()) return show_help(words);
  if (invocation.command == nullptr) {
    if (is_command_prefix(command_table(), std::span(words).first(1))) return show_help({words.front()}), 1;
    return report(usage_error(words.front() + " is not a flynn command. See 'flynn help'"));
  }
  if (invocation.arguments.has("help")) {
    return show_help({std::string(invocation.command->name)});
  }
  Session session({invocation.globals.value("app"), invocation.globals.value("cluster")}, std::cin, std::cout,
                  std::cerr);
  const auto code = invocation.command->run(session, invocation.arguments);
  std::cout << std::flush;
  return code ? *code : report(code.error());
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that goes away is an error to report, not a death
  Poco::Net::initializeSSL();
  const int code = run({argv + 1, argv + argc});
  Poco::Net::uninitializeSSL();
  return code;
}
