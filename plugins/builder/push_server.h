// PushServer: accepts connections of SSH or HTTP and gives each a session.
#pragma once

#include <atomic>
#include <list>
#include <memory>

#include "flynn/sdk/gate.h"
#include "push_session.h"

namespace flynn::builder {

/// Its acceptor begins in prepare() and accepts from activate() to quiesce(). Thread: all [control]; sessions() [any].
class PushServer {
 public:
  PushServer(Transport transport, Door& door, Log& log, Pipeline& pipeline, const BuildConfig& config)
      : transport_(transport), door_(door), log_(log), pipeline_(pipeline), config_(config) {}
  ~PushServer() { stop(); }

  /// Takes the lent socket.
  void prepare(UniqueFd listener);
  void activate();
  /// No new connections, until activate().
  void quiesce();
  /// Waits for the sessions that are left.
  void drain(Deadline deadline);
  void stop();
  std::size_t sessions() const { return live_; }

 private:
  struct Session {
    Worker worker;
    std::atomic<bool> ended{false};
  };
  void accept_loop(const StopSignal& stop);
  bool accept_one();
  void serve(UniqueFd connection);
  void reap();

  const Transport transport_;
  Door& door_;
  Log& log_;
  Pipeline& pipeline_;
  const BuildConfig& config_;
  UniqueFd listener_;
  std::list<std::unique_ptr<Session>> sessions_;  // acceptor's while it runs, else control's
  std::atomic<std::size_t> live_{0};
  StopSignal session_ended_, wake_;
  Gate gate_;
  Worker acceptor_;
};

}  // namespace flynn::builder
