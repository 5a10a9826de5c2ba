#include "last_words.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>

namespace flynn::cli {
namespace {

constexpr std::array kEnding{SIGINT, SIGTERM, SIGHUP};

// A signal handler may touch nothing else.
std::array<char, 512> said{};
volatile std::size_t said_size = 0;
std::array<struct sigaction, kEnding.size()> before{};

// SA_RESETHAND: raised again, the signal ends the program once this has returned.
void say_and_end(int signal) {
  [[maybe_unused]] const auto written = ::write(2, said.data(), said_size);
  ::raise(signal);
}

}  // namespace

LastWords::LastWords(const std::string& words) {
  const std::string line = "\n" + words.substr(0, said.size() - 2) + "\n";
  std::copy(line.begin(), line.end(), said.begin());
  said_size = line.size();
  struct sigaction action {};
  action.sa_handler = say_and_end;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &action, &before[i]);
}

LastWords::~LastWords() {
  for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &before[i], nullptr);
}

}  // namespace flynn::cli
