// HostTable: the flynn_host of one instance.
#pragma once

#include <atomic>

#include "generation.h"

namespace flynn::core {

/// Lives as long as the instance, or for good when that is abandoned. Thread: [any].
struct Generation::HostTable {
  HostTable(CoreServices& core_services, const Generation& owner);
  const flynn_host* table() const { return &table_; }
  const std::string& info_json() const { return info_json_; }
  /// From now on call and listener answer `cancelled`.
  void revoke() { revoked_.store(true, std::memory_order_release); }

 private:
  static const HostTable& self(const flynn_host* host) { return *static_cast<const HostTable*>(host->ctx); }
  static flynn_status call(const flynn_host* host, const flynn_call* call, flynn_reply* reply) noexcept;
  static void log(const flynn_host* host, std::int32_t level, flynn_bytes event, flynn_bytes fields) noexcept;
  static flynn_status listener(const flynn_host* host, flynn_bytes name, int* fd, flynn_error* error) noexcept;
  static void info(const flynn_host* host, flynn_reply* reply) noexcept;

  flynn_host table_{};
  CoreServices& services_;
  // Copies: an abandoned instance may ask when its generation has gone.
  GenerationFacts facts_;
  std::vector<InterfaceId> may_call_;
  std::string info_json_;
  std::atomic<bool> revoked_{false};
};

}  // namespace flynn::core
