// The giving side of one loop: which of its connections move away, and when.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/outbox.h"
#include "engine/tcp_target.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::router {

class ClientConnection;
class LoopContext;

/// A window is open from open() until the outbox refuses something. In it all that can move goes at once, and what
/// becomes able to goes at the end of its batch. Outside of a window everything is served as ever, so a hand-over that
/// is asked for seldom costs no request its time.
/// A share is of the newly accepted: those wait, unread, for the next window, and after kHeldMs are served here.
/// Thread: [loop].
class HandOver {
 public:
  static constexpr std::uint32_t kHeldMs = 50;
  static constexpr unsigned kAll = 1000;  // per mille

  explicit HandOver(LoopContext& loop) : loop_(loop) {}

  /// This loop is number `index` of those that report to `outbox`, which must outlive the loop.
  void open(unsigned share_permille, Outbox& outbox, std::size_t index);
  /// No window and no share any more; what was held is served here.
  void end();

  [[nodiscard]] bool is_open() const { return outbox_ != nullptr; }
  /// True if this accepted connection is one of the share; it must be held then.
  bool wants_next();
  /// `tcp`: where it goes if it came to the port of a TCP route.
  void hold(UniqueFd fd, std::string_view ip, std::shared_ptr<const TcpTarget> tcp);
  /// `connection` may have become able to move. Only while open.
  void note(ClientConnection& connection) { noted_.push_back(&connection); }
  /// A connection has ended: what is left must be counted again.
  void note_end() { ended_ = true; }
  void after_batch();

 private:
  struct Held {
    UniqueFd fd;
    std::string ip;
    std::shared_ptr<const TcpTarget> tcp;
    std::int64_t since_ms;
  };

  void give_all();
  bool give(ClientConnection& connection);
  bool give_held();
  void give_noted();
  [[nodiscard]] std::size_t count_left() const;
  void serve_held(std::int64_t since_ms_max);
  void watch_held();

  LoopContext& loop_;
  Outbox* outbox_ = nullptr;
  std::size_t index_ = 0;
  unsigned share_permille_ = 0;
  std::uint64_t phase_ = 0;
  bool ended_ = false, watching_ = false;
  std::vector<ClientConnection*> noted_;
  std::vector<Held> held_;
};

}  // namespace flynn::router
