// Door: the one way from a plugin to another. Finds the slot that provides an interface and passes the call on.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "flynn/sdk/call.h"
#include "slot.h"
#include "swap_plan.h"

namespace flynn::core {

inline constexpr std::chrono::seconds kCallTimeoutDefault{30};

/// A provider that is part of the core, such as flynn.node/1. Thread: [any].
class BuiltIn {
 public:
  virtual ~BuiltIn() = default;
  virtual flynn_status handle(const flynn_call& call, flynn_reply* reply) noexcept = 0;
};

/// Thread: pass and call [any]; announce [control].
class Door {
 public:
  /// `slot` provides these from now on, beside what others do. Borrows the slot for the door's life.
  void announce(Slot& slot, const std::vector<InterfaceId>& provides);
  /// The core provides this itself; no slot can take it over. Borrows `provider` for the door's life.
  void announce(BuiltIn& provider, const InterfaceId& provides);
  /// A call whose caller is already filled in and allowed. Deadline 30 s when it has none. "name/1@slot" asks the
  /// provider in that slot, "name/1" the first that was announced.
  flynn_status pass(flynn_call call, flynn_reply* reply);
  /// As the operator, who may call everything.
  Result<Reply> call_as_operator(std::string_view interface, std::string_view method, const json::object& body,
                                 Deadline deadline);
  bool provides(const InterfaceId& wanted) const;
  /// Everything that is announced, whether its slot runs or not.
  std::vector<PlanInput::Provider> providers() const;

 private:
  struct Provider {
    Slot* slot;
    InterfaceId interface;
    BuiltIn* built_in = nullptr;  // instead of a slot
    bool operator==(const Provider&) const = default;
  };
  using Table = std::map<std::string, Provider, std::less<>>;  // "flynn.store/1" -> provider

  /// Makes `next` the table when it differs. Under changing_.
  void publish(std::unique_ptr<Table> next);

  std::atomic<const Table*> table_{nullptr};
  // A table that was replaced may still be read, so all are kept: one for each change of what is provided.
  std::mutex changing_;
  std::vector<std::unique_ptr<const Table>> tables_;
};

}  // namespace flynn::core
