#include "seccomp_profile.h"

#include <sys/socket.h>

#include <sstream>

namespace flynn::host {
namespace {

// One name a line, # begins a comment; made from seccomp_allowed.txt by the build.
constexpr char kAllowed[] =
#include "seccomp_allowed.inc"
    ;

constexpr int kEnosys = 38;
constexpr int kEperm = 1;
// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: no job makes namespaces.
constexpr std::uint64_t kNamespaceFlags = 0x7E020000;

json::object rule(json::array names, const char* action) { return {{"names", std::move(names)}, {"action", action}}; }

json::object argument(int index, std::uint64_t value, const char* op, std::uint64_t value_two = 0) {
  return {{"index", index}, {"value", value}, {"valueTwo", value_two}, {"op", op}};
}

}  // namespace

json::object seccomp_profile() {
  json::array names;
  std::istringstream lines(kAllowed);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    for (std::string word; words >> word;) names.emplace_back(word);
  }
  auto clone = rule({"clone"}, "SCMP_ACT_ALLOW");
  clone["args"] = json::array{argument(0, kNamespaceFlags, "SCMP_CMP_MASKED_EQ", 0)};
  // glibc falls back from clone3 to clone on ENOSYS only; clone3's flags lie in memory where a filter can't look.
  auto clone3 = rule({"clone3"}, "SCMP_ACT_ERRNO");
  clone3["errnoRet"] = kEnosys;
  // Every family up to the last but vsock, which would reach the hypervisor's side.
  auto low = rule({"socket"}, "SCMP_ACT_ALLOW"), high = rule({"socket"}, "SCMP_ACT_ALLOW");
  low["args"] = json::array{argument(0, AF_VSOCK, "SCMP_CMP_LT")};
  high["args"] = json::array{argument(0, AF_VSOCK, "SCMP_CMP_GT")};
  json::array personalities;
  json::array rules{rule(std::move(names), "SCMP_ACT_ALLOW"), clone, clone3, low, high};
  for (const std::uint64_t value : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL}) {
    auto personality = rule({"personality"}, "SCMP_ACT_ALLOW");
    personality["args"] = json::array{argument(0, value, "SCMP_CMP_EQ")};
    rules.push_back(std::move(personality));
  }
  return {
    {"defaultAction", "SCMP_ACT_ERRNO"}, {"defaultErrnoRet", kEperm},
#if defined(__x86_64__)
        {"architectures", {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}},
#elif defined(__aarch64__)
        {"architectures", {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"}},
#endif
    {
      "syscalls", std::move(rules)
    }
  };
}

}  // namespace flynn::host
