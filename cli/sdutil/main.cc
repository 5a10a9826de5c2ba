// sdutil: services of discovery from the command line, as Flynn's users of 2014 knew it.
#include <getopt.h>
#include <poll.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "child.h"
#include "expose.h"
#include "flynn/sdk/clock.h"
#include "heartbeat.h"

namespace flynn::sdutil {
namespace {

constexpr const char* kUsage =
    "usage: sdutil check [-s]                                     exit 1 unless discovery answers; -s: no words\n"
    "       sdutil register [-h HOST | -i IFACE] NAME:PORT        registers until SIGINT or SIGTERM\n"
    "       sdutil services [-1] NAME                             addresses, one a line; -1: the oldest alone\n"
    "       sdutil exec [-h HOST | -i IFACE] [-s NAME:PORT]… COMMAND [ARG]…\n"
    "                                                             registers while the command runs\n"
    "       sdutil expose -d [ENV:]NAME… COMMAND [ARG]…           runs the command while each has a leader, whose\n"
    "                                                             address is in ENV (the name in capitals)\n"
    "The variable DISCOVERD says where discovery is (http://127.0.0.1:1111); EXTERNAL_IP what address is registered.\n";
constexpr int kUsageError = 1, kInterfaceError = 65;
constexpr std::chrono::seconds kServicesWait{5};
constexpr int kLookAgainMs = 200;

int say(const std::string& words, int code = 1) {
  std::fprintf(stderr, "sdutil: %s\n", words.c_str());
  return code;
}

struct Options {
  std::string host, interface;
  std::vector<std::string> services, needs, words;
  bool one = false, silent = false;
  bool bad = false;
};

// The leading '+' leaves the command's own options alone.
Options parse(int argc, char** argv) {
  Options options;
  for (int flag = 0; (flag = ::getopt(argc, argv, "+h:i:s:d:1")) != -1;) {
    if (flag == 'h')
      options.host = optarg;
    else if (flag == 'i')
      options.interface = optarg;
    else if (flag == 's')
      options.services.emplace_back(optarg);
    else if (flag == 'd')
      options.needs.emplace_back(optarg);
    else if (flag == '1')
      options.one = true;
    else
      options.bad = true;
  }
  options.words.assign(argv + optind, argv + argc);
  return options;
}

/// What the instances are registered with; the exit code otherwise.
Result<std::string> address_for(const Options& options, const DiscoverdClient& discoverd) {
  if (!options.host.empty() && !options.interface.empty())
    return Error{Code::invalid_argument,
                 "-h and -i exclude each other: the host, or the interface whose address it is"};
  if (!options.interface.empty()) return address_of_interface(options.interface);
  return options.host.empty() ? own_address(discoverd) : options.host;
}

int address_failure(const Error& error) {
  return say(error.message, error.code == Code::invalid_argument ? kUsageError : kInterfaceError);
}

int check(const DiscoverdClient& discoverd, bool silent) {
  auto answers = discoverd.ping();
  if (answers) return 0;
  return silent ? 1 : say(answers.error().message + " (flynn plugin list shows whether it runs)");
}

int register_until_signal(const DiscoverdClient& discoverd, const Options& options) {
  if (options.words.size() != 1) return say("register wants one NAME:PORT", kUsageError);
  auto wanted = Registered::parse(options.words[0]);
  if (!wanted) return say(wanted.error().message, kUsageError);
  auto address = address_for(options, discoverd);
  if (!address) return address_failure(address.error());
  const auto signals = take_signals();
  Heartbeat heartbeat(discoverd, *address, {*wanted});
  if (auto begun = heartbeat.begin(); !begun) return say(begun.error().message);
  for (int number = 0; number != SIGINT && number != SIGTERM;) {
    pollfd entry{signals.get(), POLLIN, 0};
    ::poll(&entry, 1, -1);
    number = next_signal(signals.get());
  }
  return 0;
}

int list_services(const DiscoverdClient& discoverd, const Options& options) {
  if (options.words.size() != 1) return say("services wants the NAME of one service", kUsageError);
  const auto deadline = Deadline::after(kServicesWait);
  while (true) {
    auto found = discoverd.instances(options.words[0]);
    if (!found) return say(found.error().message);
    if (!found->empty()) {
      for (const auto& instance : *found) {
        std::printf("%s\n", instance.addr.c_str());
        if (options.one) break;
      }
      return 0;
    }
    if (deadline.passed()) return say("service " + options.words[0] + " has no instance (waited 5 s)");
    ::poll(nullptr, 0, kLookAgainMs);
  }
}

int execute(const DiscoverdClient& discoverd, const Options& options) {
  if (options.words.empty()) return say("exec wants a COMMAND", kUsageError);
  std::vector<Registered> wanted;
  for (const auto& text : options.services) {
    auto one = Registered::parse(text);
    if (!one) return say(one.error().message, kUsageError);
    wanted.push_back(*one);
  }
  auto address = address_for(options, discoverd);
  if (!address) return address_failure(address.error());
  const auto signals = take_signals();
  auto child = Child::start(options.words, {});
  if (!child) return say(child.error().message, 127);
  Heartbeat heartbeat(discoverd, *address, wanted);
  if (auto begun = heartbeat.begin(); !begun) return say(begun.error().message);
  while (true) {
    std::array<pollfd, 2> entries{pollfd{signals.get(), POLLIN, 0}, pollfd{child->fd(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), -1);
    if (const int number = next_signal(signals.get()); number != 0) {
      // Nobody is sent to a command that ends.
      if (number == SIGINT || number == SIGTERM) heartbeat.end();
      child->signal(number);
    }
    if (entries[1].revents == 0) continue;
    heartbeat.end();
    return child->status();
  }
}

int run(int argc, char** argv) {
  if (argc < 2) return std::fputs(kUsage, stderr), kUsageError;
  const std::string command = argv[1];
  if (command == "help" || command == "--help") return std::fputs(kUsage, stdout), 0;
  auto discoverd = DiscoverdClient::from_environment();
  if (!discoverd) return say(discoverd.error().message);
  if (command == "check") {
    const bool silent = argc == 3 && std::strcmp(argv[2], "-s") == 0;
    return argc > 3 || (argc == 3 && !silent) ? say("check takes only -s", kUsageError) : check(*discoverd, silent);
  }
  const auto options = parse(argc - 1, argv + 1);
  if (options.bad) return std::fputs(kUsage, stderr), kUsageError;
  if (command == "register") return register_until_signal(*discoverd, options);
  if (command == "services") return list_services(*discoverd, options);
  if (command == "exec") return execute(*discoverd, options);
  if (command == "expose") {
    std::vector<Dependency> needs;
    for (const auto& text : options.needs) needs.push_back(Dependency::parse(text));
    if (needs.empty() || options.words.empty()) return say("expose wants -d NAME and a COMMAND", kUsageError);
    return expose(*discoverd, needs, options.words);
  }
  std::fprintf(stderr, "sdutil: there is no command \"%s\"\n%s", command.c_str(), kUsage);
  return kUsageError;
}

}  // namespace
}  // namespace flynn::sdutil

int main(int argc, char** argv) { return flynn::sdutil::run(argc, argv); }
