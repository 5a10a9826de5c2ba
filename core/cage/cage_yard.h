// CageYard: starts the processes of all cages, and notices when one ends.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cage.h"

namespace flynn::core {

/// Its one thread, "cages", which begins with the first cage, is the parent of all: the kernel ends them with that
/// thread. Thread: [any].
class CageYard {
 public:
  /// `program`: flynn-host, which is started as `flynn-host cage SLOT`. `ended` is called on the yard's thread, once
  /// for each cage that the host has not closed; it must return soon.
  explicit CageYard(std::filesystem::path program);
  /// Kills what still runs; joins.
  ~CageYard();
  CageYard(const CageYard&) = delete;
  CageYard& operator=(const CageYard&) = delete;
  void on_end(std::function<void(const Cage&)> ended);

  struct Process {
    pid_t pid = -1;
    UniqueFd pidfd;
  };
  /// `control` becomes the process's descriptor kControlFd.
  Result<Process> spawn(const std::string& slot, const std::string& temp_dir, Lane control);
  /// Reaps it, and keeps it until no thread of it runs any more.
  void watch(const std::shared_ptr<Cage>& cage);
  /// Held while a slot is given its user.
  std::mutex& users() { return users_; }

 private:
  struct Watched {
    std::shared_ptr<Cage> cage;
    UniqueFd pidfd;
    bool reaped = false;
  };
  void run();
  void reap(Watched& watched);
  void end_what_is_left(const Watched& ended);
  void ring() const;

  const std::filesystem::path program_;
  UniqueFd bell_;
  std::mutex mutex_, users_;
  std::function<void(const Cage&)> ended_;
  std::list<std::function<void()>> asked_;
  std::list<Watched> cages_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace flynn::core
