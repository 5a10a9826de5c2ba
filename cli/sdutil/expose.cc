#include "expose.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "child.h"
#include "flynn/sdk/clock.h"

namespace flynn::sdutil {
namespace {

constexpr int kAgainMs = 300;
// Discovery says that a leader has gone before it says who leads now, and nothing more when nobody does.
constexpr int kSuccessionMs = 300;

/// Who leads each service now; rings when that changes. Its threads end with the process: each is inside a read from
/// discovery.
class Leaders {
 public:
  Leaders() : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  void follow(const DiscoverdClient& discoverd, const std::string& service) {
    std::thread([this, discoverd, service] {
      while (true) {
        (void)discoverd.watch_leader(service, [&](const std::string& addr) { set(service, addr); });
        // A discovery that is away loses nobody: what is known stays until it says otherwise.
        ::poll(nullptr, 0, kAgainMs);
      }
    }).detach();  // style: allow (ends with the process)
  }
  std::map<std::string, std::string> known() {
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto got = ::read(bell_.get(), &rings, sizeof rings);
    const std::lock_guard lock(mutex_);
    for (auto lost = lost_.begin(); lost != lost_.end();) {
      if (!lost->second.passed()) {
        ++lost;
        continue;
      }
      known_[lost->first].clear();
      lost = lost_.erase(lost);
    }
    return known_;
  }
  /// Until known() may change without a ring; -1: never.
  int wait_ms() {
    const std::lock_guard lock(mutex_);
    return lost_.empty() ? -1 : kSuccessionMs;
  }
  int fd() const { return bell_.get(); }

 private:
  void set(const std::string& service, const std::string& addr) {
    {
      const std::lock_guard lock(mutex_);
      if (addr.empty() && !known_[service].empty()) {
        lost_.try_emplace(service, Deadline::after(std::chrono::milliseconds(kSuccessionMs)));
      } else {
        lost_.erase(service);
        known_[service] = addr;
      }
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto rung = ::write(bell_.get(), &one, sizeof one);
  }
  UniqueFd bell_;
  std::mutex mutex_;
  std::map<std::string, std::string> known_;
  std::map<std::string, Deadline> lost_;  // when it counts that nobody followed
};

}  // namespace

Dependency Dependency::parse(const std::string& text) {
  if (const auto colon = text.find(':'); colon != std::string::npos)
    return {text.substr(0, colon), text.substr(colon + 1)};
  std::string variable = text;
  std::transform(variable.begin(), variable.end(), variable.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return {variable, text};
}

int expose(const DiscoverdClient& discoverd, const std::vector<Dependency>& needs,
           const std::vector<std::string>& words) {
  const auto signals = take_signals();
  static auto& leaders = *new Leaders;  // its threads outlive this function
  for (const auto& need : needs) leaders.follow(discoverd, need.service);
  Child child;
  while (true) {
    std::vector<pollfd> entries{{signals.get(), POLLIN, 0}, {leaders.fd(), POLLIN, 0}, {child.fd(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), leaders.wait_ms());
    if (child.runs() && entries[2].revents != 0) return child.status();
    if (const int number = next_signal(signals.get()); number != 0) {
      if (!child.runs()) return 128 + number;
      child.signal(number);
      continue;
    }
    auto known = leaders.known();
    std::map<std::string, std::string> env;
    std::string missing;
    for (const auto& need : needs) {
      env[need.variable] = known[need.service];
      if (known[need.service].empty()) missing = need.service;
    }
    if (child.runs() && !missing.empty()) {
      std::fprintf(stderr, "sdutil: %s has no leader any more, %s is stopped until it has\n", missing.c_str(),
                   words.front().c_str());
      child.stop();
    } else if (!child.runs() && missing.empty()) {
      auto started = Child::start(words, env);
      if (!started) {
        std::fprintf(stderr, "sdutil: %s\n", started.error().message.c_str());
        return 127;
      }
      child = std::move(*started);
    }
  }
}

}  // namespace flynn::sdutil
