#include "range_sockets.h"

#include <sys/socket.h>

#include "desk_message.h"
#include "flynn/sdk/stream.h"
#include "listening_socket.h"

namespace flynn::core {
namespace {

constexpr const char* kRemedy = "use another port of the range";

}  // namespace

const PortRange* RangeSockets::find(const std::string& name) const {
  const auto found = ranges_.find(name);
  return found == ranges_.end() ? nullptr : &found->second;
}

int RangeSockets::ports() const {
  int sum = 0;
  for (const auto& [name, range] : ranges_) sum += range.size();
  return sum;
}

void RangeSockets::inherit(const RangedName& name, UniqueFd socket) {
  const auto* range = find(name.range);
  if (range == nullptr || name.port < range->first || name.port > range->last)
    ::shutdown(socket.get(), SHUT_RD);
  else
    held_.emplace(name.range + ":" + std::to_string(name.port), Held{std::move(socket), true});
}

void RangeSockets::hand_over_to(UniqueFd keeper, EventLog& log) {
  keeper_ = std::move(keeper);
  log_ = &log;
}

Result<UniqueFd> RangeSockets::lend(const std::string& range, std::string_view port) {
  const auto& asked = ranges_.at(range);
  const auto number = asked.port_of(port);
  if (!number) return number.error().context("listener " + range);
  const auto name = range + ":" + std::to_string(*number);
  const auto address = asked.address_of(*number);
  const std::lock_guard lock(mutex_);
  auto found = held_.find(name);
  if (found == held_.end()) {
    auto socket = bind_and_listen(name, address, kRemedy);
    if (!socket) return socket.error();
    found = held_.emplace(name, Held{std::move(*socket)}).first;
  } else if (auto listens = listen_again(found->second.socket.get(), name, address, kRemedy); !listens) {
    return listens.error();
  }
  found->second.borrowed = true;
  if (keeper_ && !found->second.kept) hand_over(name, found->second);
  return duplicate(found->second.socket.get());
}

void RangeSockets::shut_unborrowed() {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, held] : held_)
    if (!held.borrowed) ::shutdown(held.socket.get(), SHUT_RD);
}

// Lent all the same when that fails: a client served now is worth more than one that waits through a restart.
void RangeSockets::hand_over(const std::string& name, Held& held) const {
  auto sent = send_listener(keeper_.get(), name, held.socket.get());
  held.kept = sent.ok();
  if (!sent)
    log_->warn("listener_not_kept", {{"listener", name},
                                     {"error", sent.error().message},
                                     {"effect",
                                      "its clients are refused while the host restarts; the next lend of it "
                                      "tries again"}});
}

}  // namespace flynn::core
