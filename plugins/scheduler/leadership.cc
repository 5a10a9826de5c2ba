#include "leadership.h"

#include "flynn/sdk/clock.h"

namespace flynn::scheduler {

Leadership::Leadership(Door& door, std::string node, std::string holder)
    : store_(door), node_(std::move(node)), holder_(std::move(holder)) {}

Result<bool> Leadership::try_acquire() {
  auto current = store_.get(kLeaderKey);
  if (!current) return current.error().context("read the leader key");
  if (*current) {
    const auto* value = (*current)->value.if_object();
    if (value != nullptr && string_or(*value, "node") != node_) return false;
    // In a transaction of its own, so that the key's create revision, the token, is a new one.
    auto erased = store_.txn().if_mod(kLeaderKey, (*current)->mod_revision).erase(kLeaderKey).commit();
    if (!erased) return erased.error().code == Code::conflict ? Result<bool>(false) : Result<bool>(erased.error());
  }
  auto lease = store_.grant_lease(kLeaseTtl);
  if (!lease) return lease.error().context("grant the leader's lease");
  json::object value{{"v", 1}, {"node", node_}, {"holder", holder_}, {"since", now_rfc3339()}};
  auto written = store_.txn().if_absent(kLeaderKey).put(kLeaderKey, std::move(value), *lease).commit();
  if (!written) {
    [[maybe_unused]] const auto revoked = store_.revoke_lease(*lease);
    return written.error().code == Code::conflict ? Result<bool>(false) : Result<bool>(written.error());
  }
  lease_ = *lease;
  token_ = *written;
  return true;
}

Result<void> Leadership::renew() { return store_.keep_lease_alive(lease_); }

void Leadership::release() {
  if (token_ == 0) return;
  token_ = 0;
  [[maybe_unused]] const auto revoked = store_.revoke_lease(lease_);  // else it expires
}

void Leadership::adopt(std::string lease, std::int64_t token) {
  lease_ = std::move(lease);
  token_ = token;
}

}  // namespace flynn::scheduler
