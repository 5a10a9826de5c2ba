#include "lease_table.h"

#include <algorithm>
#include <charconv>

namespace flynn::store {

std::string lease_text(LeaseId lease) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at, lease >>= 4) *at = kDigits[lease & 15];
  return text;
}

std::optional<LeaseId> lease_from_text(std::string_view text) {
  LeaseId lease = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), lease, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 16 || lease == 0) return std::nullopt;
  return lease;
}

void LeaseTable::add(LeaseId lease, std::chrono::milliseconds ttl, Time now) {
  leases_[lease] = Lease{ttl, now + ttl};
  next_check_ = std::min(next_check_, now + ttl);
}

Result<std::chrono::milliseconds> LeaseTable::keep_alive(LeaseId lease, Time now) {
  if (!alive(lease, now)) return Error{Code::not_found, "lease " + lease_text(lease) + " is unknown or has expired"};
  auto& found = leases_.at(lease);
  found.deadline = now + found.ttl;
  return found.ttl;
}

bool LeaseTable::alive(LeaseId lease, Time now) const {
  const auto found = leases_.find(lease);
  return found != leases_.end() && now < found->second.deadline;
}

std::vector<LeaseId> LeaseTable::expired(Time now) {
  std::vector<LeaseId> ended;
  if (now < next_check_) return ended;
  next_check_ = Time::max();
  for (const auto& [id, lease] : leases_) {
    if (lease.deadline <= now) ended.push_back(id);
    next_check_ = std::min(next_check_, lease.deadline);
  }
  return ended;
}

std::optional<LeaseTable::Time> LeaseTable::next_check() const {
  return leases_.empty() ? std::nullopt : std::optional<Time>(next_check_);
}

void LeaseTable::restart_all(Time now) {
  for (auto& [id, lease] : leases_) lease.deadline = now + lease.ttl;
  next_check_ = now;
}

}  // namespace flynn::store
