/// The user's terminal during an attached job: raw mode, its size, and the signals that arrive meanwhile.
#pragma once

#include <termios.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <vector>

#include "flynn/sdk/unique_fd.h"

namespace flynn::cli {

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

bool is_terminal(int fd);
WindowSize window_size(int fd);

/// Raw while it lives; the destructor puts the old settings back.
class RawMode {
 public:
  explicit RawMode(int fd);
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  int fd_;
  std::optional<termios> before_;
};

/// SIGINT, SIGTERM, SIGQUIT, SIGHUP and SIGWINCH as bytes to poll for, while it lives. One at a time in a process.
class SignalInbox {
 public:
  SignalInbox();
  ~SignalInbox();
  SignalInbox(const SignalInbox&) = delete;
  SignalInbox& operator=(const SignalInbox&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  std::vector<int> take();

 private:
  sigset_t before_{};
  UniqueFd fd_;
};

}  // namespace flynn::cli
