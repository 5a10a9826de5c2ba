// ChildHost: the flynn_host of a plugin in a cage; everything it offers is asked of the host process.
#pragma once

#include <mutex>
#include <string>

#include "flynn/plugin.h"
#include "lane_pool.h"

namespace flynn::core {

/// The lane that carries lanes and log lines. Thread: send [any]; receive by one.
struct ControlLane {
  explicit ControlLane(Lane whole) : lane(std::move(whole)) {}
  Result<void> send(const Frame& frame, Deadline deadline = {});
  Result<void> hand_out(Lane other_end);
  Lane lane;

 private:
  std::mutex sending_;
};

/// Lives as long as the process. Thread: [any].
class ChildHost {
 public:
  ChildHost(ControlLane& control, std::string info_json);
  const flynn_host* table() const { return &table_; }

 private:
  static ChildHost& self(const flynn_host* host) { return *static_cast<ChildHost*>(host->ctx); }
  static flynn_status call(const flynn_host* host, const flynn_call* call, flynn_reply* reply) noexcept;
  static void log(const flynn_host* host, std::int32_t level, flynn_bytes event, flynn_bytes fields) noexcept;
  static flynn_status listener(const flynn_host* host, flynn_bytes name, int* fd, flynn_error* error) noexcept;
  static void info(const flynn_host* host, flynn_reply* reply) noexcept;

  flynn_host table_{};
  ControlLane& control_;
  LanePool lanes_;
  std::string info_json_;
};

}  // namespace flynn::core
