// Time-outs of connections: coarse, intrusive, and free of system calls.
#pragma once

#include <array>
#include <cstdint>

namespace flynn::router {

class TimerWheel;

/// Something that has at most one time-out. Not copied or moved while armed.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  virtual void on_timer() = 0;

 protected:
  ~TimerNode() = default;

 private:
  friend class TimerWheel;
  TimerNode* previous_ = nullptr;
  TimerNode* next_ = nullptr;
  std::uint32_t deadline_ = 0;  // in ticks
  std::uint32_t visited_ = 0;   // the tick at which the wheel comes by
};

/// A hashed wheel with lazy extension: moving a time-out further away, which every byte of progress does, is one store.
/// Resolution is a tick; a time-out is never early and at most two ticks late. Thread: [loop].
class TimerWheel {
 public:
  static constexpr std::uint32_t kTickMs = 100;

  TimerWheel();
  void arm(TimerNode& node, std::uint32_t after_ms);
  void disarm(TimerNode& node);
  /// Until it fires; 0 when not armed.
  [[nodiscard]] std::uint32_t left_ms(const TimerNode& node) const {
    return node.next_ == nullptr || node.deadline_ <= now_ ? 0 : (node.deadline_ - now_) * kTickMs;
  }
  /// Fires what is due.
  void tick();

 private:
  static constexpr std::uint32_t kSlots = 512;
  struct Anchor final : TimerNode {
    void on_timer() override {}
  };

  void link(TimerNode& node);
  static void unlink(TimerNode& node);

  std::uint32_t now_ = 0;
  std::array<Anchor, kSlots> slots_;
};

}  // namespace flynn::router
