// Heartbeat: says that this machine is alive and what it can carry, as long as it does.
#pragma once

#include <atomic>
#include <functional>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/store.h"
#include "machine.h"

namespace flynn::host {

/// One thread ("host-beat"), which works inside the gate. Borrows all. Thread: [control].
class Heartbeat {
 public:
  /// `on_begin` runs on the thread, inside the gate, once after each begin(): what may take its time once callers go
  /// on.
  Heartbeat(Door& door, Log& log, const Machine& machine, Gate& gate, std::function<void()> on_begin);
  ~Heartbeat() { stop(); }

  void start();
  /// The gate is open. The machine is announced anew.
  void begin();
  /// The gate is closed and empty: a begin() that was not seen yet is void.
  void end() { begun_ = false; }
  void stop() { worker_.stop(); }

 private:
  void run(const StopSignal& stop);
  json::object document() const;
  /// False when the store did not take it.
  bool beat(const json::object& document);

  Door& door_;
  Log& log_;
  const Machine& machine_;
  Gate& gate_;
  const std::function<void()> on_begin_;
  const std::string host_id_;
  std::string lease_;  // the thread's
  std::atomic<bool> begun_{false};
  UniqueFd wake_;
  Worker worker_;
};

}  // namespace flynn::host
