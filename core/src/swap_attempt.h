// Node::Attempt: the durable word that a swap has begun.
#pragma once

#include "node.h"

namespace flynn::core {

/// While it lives, a host that dies is known to have died in that swap, before the new version had any work. It is
/// written with the new generation's number, so it costs no write of its own; a swap that gets so far that it is
/// recorded as pending, or is committed, has taken its place.
/// Borrows both. Thread: the holder of the slot's lifecycle().
class Node::Attempt {
 public:
  Attempt(Node& node, SlotPlan& entry, std::string version) : node_(node), entry_(entry) {
    const std::lock_guard lock(node_.mutex_);
    node_.record_.slot(entry_.config.slot).attempt = std::move(version);
  }
  ~Attempt() {
    const std::lock_guard lock(node_.mutex_);
    auto& attempt = node_.record_.slot(entry_.config.slot).attempt;
    if (attempt.empty()) return;
    attempt.clear();
    node_.save_or_log(entry_.config.slot);
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

 private:
  Node& node_;
  SlotPlan& entry_;
};

}  // namespace flynn::core
