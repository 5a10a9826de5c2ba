// Crash notes: when the host dies of a fault, its last act is to write down whose code ran. The next host reads it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "flynn/sdk/json.h"

namespace flynn::core {

struct CrashNote {
  std::string slot;    // empty: the core's own code, or nobody can say
  std::string digest;  // of the image
  std::string what;    // "signal 11 (SIGSEGV) in its code at +0x1234, thread ctl-router"

  json::object document() const { return {{"slot", slot}, {"digest", digest}, {"what", what}}; }
};

/// Makes an image known to the handler, by its addresses and by the tag of its threads (thread_tag.h), until it is
/// unloaded. Thread: [control].
class CrashMark {
 public:
  CrashMark() = default;
  CrashMark(const std::string& slot, const std::string& digest, std::uint32_t tag);
  /// Once it is loaded; `image`: the path that the dynamic linker knows it by.
  void locate(const std::filesystem::path& image);
  CrashMark(CrashMark&& other) noexcept;
  CrashMark& operator=(CrashMark&& other) noexcept;
  ~CrashMark();
  /// The image stays mapped for good, so does the mark.
  void keep() { index_ = -1; }
  int index() const { return index_; }

 private:
  int index_ = -1;
};

namespace crash_note_detail {
// In the program itself, never in a library: a signal handler may read it.
inline constinit thread_local int running = -1;
}  // namespace crash_note_detail

/// While it lives, this thread runs code of that mark. Costs two stores.
class RunningCode {
 public:
  explicit RunningCode(int mark) : before_(crash_note_detail::running) { crash_note_detail::running = mark; }
  ~RunningCode() { crash_note_detail::running = before_; }
  RunningCode(const RunningCode&) = delete;
  RunningCode& operator=(const RunningCode&) = delete;

 private:
  int before_;
};

/// A stack for the handler, so that a thread which used up its own still leaves a note. As long as the thread.
class CrashStack {
 public:
  CrashStack();
  ~CrashStack();
  CrashStack(const CrashStack&) = delete;
  CrashStack& operator=(const CrashStack&) = delete;

 private:
  static constexpr std::size_t kSize = 64u << 10;
  std::unique_ptr<std::array<char, kSize>> stack_;
};

/// What the last host left, if it left something; the file is removed.
std::optional<CrashNote> take_crash_note(const std::filesystem::path& file);
/// From now on SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT and a plugin's exit() leave a note there. Once a process.
Result<void> arm_crash_notes(const std::filesystem::path& file);

}  // namespace flynn::core
