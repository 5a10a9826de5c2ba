// Cancel: the reasons for which a build is given up: the one who asked has gone, or the plugin stops.
#pragma once

#include <poll.h>

#include <vector>

namespace flynn::builder {

struct Cancel {
  std::vector<int> hangup_fds;  // borrowed; a peer that has closed
  int stop_fd = -1;             // borrowed; readable when the plugin must end

  std::vector<pollfd> poll_set() const {
    std::vector<pollfd> set;
    for (int fd : hangup_fds) set.push_back({fd, POLLRDHUP, 0});
    set.push_back({stop_fd, POLLIN, 0});
    return set;
  }
  /// Waits so long; true when it is time to give up.
  bool wait(int timeout_ms) const {
    auto set = poll_set();
    return ::poll(set.data(), set.size(), timeout_ms) > 0;
  }
  bool asked() const { return wait(0); }
};

}  // namespace flynn::builder
