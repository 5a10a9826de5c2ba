/// What is to be said when the user ends this program while somebody else goes on with the work.
#pragma once

#include <string>

namespace flynn::cli {

/// While it lives, SIGINT, SIGTERM and SIGHUP print `words` and a line's end on stderr, and then end the program as
/// ever. One at a time in a process; `words` are cut at 512 bytes. Thread: [startup] of its owner; the signals may come
/// on any.
class LastWords {
 public:
  explicit LastWords(const std::string& words);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
};

}  // namespace flynn::cli
