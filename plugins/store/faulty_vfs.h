// A SQLite VFS over the system's that fails the nth write or sync: what a full or broken disk does to the store.
#pragma once

#include <atomic>
#include <string>

namespace flynn::store {

/// Counts writes, syncs and truncations of the files opened through it. Registered while it lives. Thread: [any].
class FaultyVfs {
 public:
  enum class Fault { disk_full, io_error };

  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  static constexpr const char* kName = "flynn-faulty";

  /// From the `nth` operation from now (0: the next one), `count` operations fail.
  void fail(Fault fault, long nth, long count);
  void heal();
  /// Operations since the last fail() or heal().
  long operations() const;
};

}  // namespace flynn::store
