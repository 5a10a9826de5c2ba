#include <Poco/Net/NetSSL.h>
#include <Poco/Net/SSLManager.h>

#include <algorithm>
#include <csignal>
#include <iostream>

#include "command.h"
#include "command_facts.h"
#include "documents.h"
#include "error_report.h"
#include "help.h"
#include "man.h"
#include "session.h"
#include "version.h"

namespace {

using namespace flynn::cli;

int report(const Error& error, bool as_json = false) {
  if (error.kind == Failure::kPlanned) {
    // A change that no command announced: shown as the request that was held back.
    if (!error.what.empty()) std::cout << error.what << '\n';
    std::cout << std::flush;
    return 0;
  }
  std::cout << std::flush;
  if (as_json) {
    std::cerr << boost::json::serialize(error_document(error)) << '\n';
  } else {
    print_error(std::cerr, error);
  }
  return exit_code(error.kind);
}

int write_man_pages(const std::vector<std::string>& words) {
  if (words.size() != 2) return report(usage_error("flynn help --man: expected a folder"));
  const auto written = write_man(words[1], command_table());
  return written ? 0 : report(written.error());
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
  if (words.front() == "--documents") {
    std::cout << document_reference(command_table());
    return 0;
  }
  if (words.front() == "--man") return write_man_pages(words);
  if (print_help(std::cout, command_table(), words)) return 0;
  if (const auto page = error_page(words.front()); !page.empty() && words.size() == 1) {
    std::cout << page;
    return 0;
  }
  return report(usage_error(words.front() + " is not a flynn command. See 'flynn help'"));
}

int run(const std::vector<std::string>& line) {
  // `help` is the one word that is no command: what follows it are names, not arguments.
  if (!line.empty() && line.front() == "help") return show_help({line.begin() + 1, line.end()});
  auto parsed = parse_command_line(command_table(), line);
  const bool as_json = std::find(line.begin(), line.end(), "--json") != line.end();
  if (!parsed) return report(parsed.error(), as_json);
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
  const Arguments& globals = invocation.globals;
  const SessionOptions options{globals.value("app"), globals.value("cluster"), globals.has("json"),
                               globals.has("plan") && invocation.command->effect != Effect::kReads};
  Session session(options, std::cin, std::cout, std::cerr);
  const auto code = invocation.command->run(session, invocation.arguments);
  if (code) session.finish();
  std::cout << std::flush;
  return code ? *code : report(code.error(), options.json);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that goes away is an error to report, not a death
  Poco::Net::initializeSSL();
  const int code = run({argv + 1, argv + argc});
  Poco::Net::uninitializeSSL();
  return code;
}
