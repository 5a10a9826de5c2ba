// AddressPool: who has which IPv4 address of the bridge's subnet. The bridge itself has the first one.
//
// Nothing is stored: after a restart the addresses of adopted jobs are claimed again before the first new one is taken.
// Freed addresses come last again, so that a late packet for a dead job rarely meets a new one. Thread: [any].
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "flynn/sdk/result.h"

namespace flynn::host {

struct Subnet {
  std::uint32_t network = 0;  // host byte order
  unsigned bits = 0;

  /// "10.99.0.0/20"; /8 to /29.
  static Result<Subnet> parse(const std::string& text);
  std::string text() const;
  std::string address(std::uint32_t offset) const;
  std::uint32_t size() const { return 1U << (32 - bits); }
  std::string gateway() const { return address(1); }
};

class AddressPool {
 public:
  explicit AddressPool(Subnet subnet) : subnet_(subnet) {}

  /// The same job gets the same address again. `resource_exhausted` when the subnet is full.
  Result<std::string> take(const std::string& job_id);
  /// For an adopted job; `conflict` when another has it, `invalid_argument` outside of the subnet.
  Result<void> claim(const std::string& job_id, const std::string& address);
  void release(const std::string& job_id);
  const Subnet& subnet() const { return subnet_; }

 private:
  const Subnet subnet_;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint32_t> by_job_;  // offset within the subnet
  std::set<std::uint32_t> taken_;
  std::uint32_t next_ = 2;
};

}  // namespace flynn::host
