#include "engine/hand_over.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "engine/client_connection.h"
#include "engine/loop_context.h"

namespace flynn::router {
namespace {

// Multiples of the golden ratio fill the unit evenly, so even a few connections have about the right share, and no
// regular client falls in step with it.
constexpr std::uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;

}  // namespace

void HandOver::open(unsigned share_permille, Outbox& outbox, std::size_t index) {
  outbox_ = &outbox;
  index_ = index;
  share_permille_ = share_permille;
  noted_.clear();
  give_all();
}

void HandOver::end() {
  outbox_ = nullptr;
  share_permille_ = 0;
  noted_.clear();
  serve_held(std::numeric_limits<std::int64_t>::max());
}

bool HandOver::wants_next() {
  if (share_permille_ == 0 || share_permille_ >= kAll) return false;
  phase_ += kGoldenRatio;
  return (phase_ >> 32) * kAll >> 32 < share_permille_;
}

void HandOver::hold(UniqueFd fd, std::string_view ip, std::shared_ptr<const TcpTarget> tcp) {
  held_.push_back({std::move(fd), std::string(ip), std::move(tcp), loop_.monotonic_ms});
  watch_held();
}

bool HandOver::give(ClientConnection& connection) {
  const std::size_t descriptors = connection.is_tunnel() ? 2 : 1;
  if (outbox_->put(descriptors, [&] { return connection.let_go(); })) return true;
  outbox_ = nullptr;
  return false;
}

bool HandOver::give_held() {
  while (!held_.empty()) {
    const auto let_go = [&] {
      MovingConnection moving;
      moving.client = std::move(held_.back().fd);
      moving.ip = std::move(held_.back().ip);
      moving.timeout_ms = loop_.settings.head_timeout_ms;
      if (held_.back().tcp) moving.tcp = *held_.back().tcp;
      return moving;
    };
    if (!outbox_->put(1, let_go)) return outbox_ = nullptr, false;
    held_.pop_back();
  }
  return true;
}

void HandOver::give_all() {
  Outbox& outbox = *outbox_;
  if (give_held() && share_permille_ >= kAll) {
    for (auto* client = loop_.clients; client != nullptr;) {
      auto* next = client->next();
      if (client->can_move() && !give(*client)) break;
      client = next;
    }
  }
  ended_ = false;
  outbox.report(index_, count_left());
}

std::size_t HandOver::count_left() const {
  std::size_t left = held_.size();
  if (share_permille_ < kAll) return left;
  for (auto* client = loop_.clients; client != nullptr; client = client->next())
    if (client->may_move_later()) ++left;
  return left;
}

// One that is noted may have ended since, or be another one by now: what it is like is asked here.
void HandOver::give_noted() {
  for (auto* client : noted_)
    if (client->can_move() && !give(*client)) break;
  noted_.clear();
}

void HandOver::after_batch() {
  if (outbox_ == nullptr) return;
  Outbox& outbox = *outbox_;
  if (give_held() && share_permille_ >= kAll) give_noted();
  noted_.clear();
  if (std::exchange(ended_, false)) outbox.report(index_, count_left());
}

void HandOver::serve_held(std::int64_t since_ms_max) {
  const auto late =
      std::partition(held_.begin(), held_.end(), [&](const Held& held) { return held.since_ms > since_ms_max; });
  std::vector<Held> ours(std::make_move_iterator(late), std::make_move_iterator(held_.end()));
  held_.erase(late, held_.end());
  for (auto& held : ours)
    if (held.tcp)
      loop_.new_client()->open_tcp(held.fd.release(), held.ip, *held.tcp);
    else
      loop_.new_client()->open(held.fd.release(), held.ip);
}

void HandOver::watch_held() {
  if (held_.empty() || std::exchange(watching_, true)) return;
  loop_.reactor.post_after(std::chrono::milliseconds(kHeldMs), [this] {
    watching_ = false;
    serve_held(loop_.monotonic_ms - kHeldMs);
    watch_held();
  });
}

}  // namespace flynn::router
