// HaproxyProcess: one HAProxy, our child.
#pragma once

#include <flynn/sdk/clock.h>
#include <flynn/sdk/result.h>
#include <flynn/sdk/unique_fd.h>
#include <sys/types.h>

#include <string>
#include <utility>

namespace haproxy_router {

/// Ends with its owner. Thread: one at a time.
class HaproxyProcess {
 public:
  /// `listening` becomes its descriptor 3. It accepts when this returns.
  static flynn::Result<HaproxyProcess> start(const std::string& program, const std::string& config_file, int listening);
  HaproxyProcess() = default;
  HaproxyProcess(HaproxyProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  HaproxyProcess& operator=(HaproxyProcess&& other) noexcept;
  ~HaproxyProcess() { kill(); }

  bool runs() const { return pid_ > 0; }
  /// Readable once it has ended.
  int fd() const { return pidfd_.get(); }
  /// Accepts no more; ends when its connections have.
  void finish() const;
  /// True once it has ended.
  bool wait(flynn::Deadline deadline);
  void kill();

 private:
  pid_t pid_ = -1;
  flynn::UniqueFd pidfd_;
};

/// Its words when it does not like the configuration; empty when it does. Accepts nothing from `listening`.
std::string complaint_about(const std::string& program, const std::string& config_file, int listening);

}  // namespace haproxy_router
