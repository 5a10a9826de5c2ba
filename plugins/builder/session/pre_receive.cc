#include "pre_receive.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>

#include "wire.h"

namespace flynn::builder {
namespace {

constexpr std::size_t kRefsMax = 200;

// Back to the first column and erase: so the line covers git's own "remote: ".
void print_line(const std::string& line) {
  std::fprintf(stdout, "\x1b[1G\x1b[K%s\n", line.c_str());
  std::fflush(stdout);
}

int fail(const std::string& text) {
  print_line("ERROR: " + text);
  return 1;
}

}  // namespace

int run_pre_receive_hook() {
  const char* number = std::getenv("FLYNN_HOOK_FD");
  const char* quarantine = std::getenv("GIT_QUARANTINE_PATH");
  if (number == nullptr) return fail("this hook is run by the builder only");
  int socket = std::atoi(number);
  // There is no quarantine when nothing new came: a deletion, or a commit that is known already.
  json::array refs;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string before, after, name;
    words >> before >> after >> name;
    if (refs.size() == kRefsMax) return fail("a push may change at most 200 references");
    refs.push_back(json::array{json::value(before), json::value(after), json::value(name)});
  }
  json::object push{{"refs", std::move(refs)},
                    {"quarantine", quarantine != nullptr ? std::filesystem::path(quarantine).filename().string() : ""}};
  if (auto sent = send_message(socket, push); !sent) return fail(sent.error().message);
  for (;;) {
    auto message = receive_message(socket, Deadline::none());
    if (!message) return fail("the builder went away during the push; push again");
    if (auto text = find_string(message->body, "line")) print_line(*text);
    if (auto status = find_int(message->body, "exit")) return static_cast<int>(*status);
  }
}

}  // namespace flynn::builder
