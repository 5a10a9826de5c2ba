#include "engine/loop_context.h"

#include <ctime>
#include <utility>

#include "engine/client_connection.h"

namespace flynn::router {
namespace {

std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

std::int64_t milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

constexpr std::size_t kFramingRoom = 64;
constexpr std::size_t kHeadBufferKeptBytes = 8 * 1024;

}  // namespace

Random::Random(std::uint64_t seed) : state_{} {
  for (auto& word : state_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

std::uint64_t Random::next() {
  const auto result = rotate(state_[1] * 5, 7) * 9;
  const auto t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate(state_[3], 45);
  return result;
}

LoopContext::LoopContext(const Settings& settings_in, LoopOwner& owner)
    : settings(settings_in),
      reactor(owner),
      upstreams(*this),
      hand_over(*this),
      random(static_cast<std::uint64_t>(milliseconds(CLOCK_REALTIME)) ^ reinterpret_cast<std::uintptr_t>(this)),
      table(std::make_shared<RouteTable>()),
      buffer_(std::make_unique_for_overwrite<char[]>(kReadBytes + 2 * kFramingRoom)) {
  read_buffer = buffer_.get() + kFramingRoom;
  read_clocks();
}

LoopContext::~LoopContext() {
  for (auto* client : free_clients_) delete client;
  for (auto* exchange : free_exchanges_) delete exchange;
}

void LoopContext::read_clocks() {
  wall_ms = static_cast<std::uint64_t>(milliseconds(CLOCK_REALTIME_COARSE));
  monotonic_ms = milliseconds(CLOCK_MONOTONIC_COARSE);
}

std::string_view LoopContext::make_request_id() {
  constexpr std::string_view hex = "0123456789abcdef";
  const std::uint64_t words[2] = {random.next(), random.next()};
  std::size_t at = 0;
  for (std::size_t digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) request_id_[at++] = '-';
    auto value = words[digit / 16] >> (digit % 16 * 4) & 15;
    if (digit == 12) value = 4;
    if (digit == 16) value = 8 | (value & 3);
    request_id_[at++] = hex[value];
  }
  return {request_id_.data(), at};
}

ClientConnection* LoopContext::new_client() {
  if (free_clients_.empty()) return new ClientConnection(*this);
  auto* client = free_clients_.back();
  free_clients_.pop_back();
  return client;
}

Exchange* LoopContext::new_exchange() {
  if (free_exchanges_.empty()) return new Exchange;
  auto* exchange = free_exchanges_.back();
  free_exchanges_.pop_back();
  return exchange;
}

void LoopContext::free_exchange(Exchange* exchange) {
  exchange->head.trim(kHeadBufferKeptBytes);
  free_exchanges_.push_back(exchange);
}

void LoopContext::make_ready(ClientConnection& connection) {
  if (std::exchange(connection.ready_, true)) return;
  ready_.push_back(&connection);
}

void LoopContext::retire(ClientConnection& connection) { retired_.push_back(&connection); }

bool LoopContext::finish_batch() {
  resuming_.swap(ready_);
  for (auto* client : resuming_) {
    client->ready_ = false;
    client->resume();
  }
  resuming_.clear();
  // A retired connection that is still in the ready list stays until it has left it.
  std::size_t kept = 0;
  for (auto* client : retired_) {
    if (client->ready_)
      retired_[kept++] = client;
    else
      free_clients_.push_back(client);
  }
  retired_.resize(kept);
  upstreams.reclaim();
  return !ready_.empty();
}

void LoopContext::close_all() {
  while (clients != nullptr) clients->abort();
  upstreams.close_idle();
  finish_batch();
}

}  // namespace flynn::router
