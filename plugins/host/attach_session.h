// AttachSession: one client on the streams of one job, between attach frames and conmon's socket.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "attach_frames.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"
#include "machine.h"

namespace flynn::host {

struct AttachRequest {
  std::string job_id;
  bool use_stdin = false, use_stdout = true, use_stderr = true;
  Deadline deadline;  // for the job to be there
  /// Flynn's host tells whether the job is there: byte 1 while it is waited for, byte 0 once it is attached to.
  bool use_state_bytes = false;
  std::uint16_t rows = 0, columns = 0;  // of the client's terminal; 0: the job's own
};

/// What a session asks of the agent. Thread: the session's.
struct AttachSupport {
  /// Waits until the job's container is made. An error when it never will be, or at the deadline.
  std::function<Result<void>(const std::string& job_id, Deadline)> wait_until_created;
  /// The attacher is connected; the job may start.
  std::function<void(const std::string& job_id)> attached;
  /// How the job ended; waits a little for it. Or why it could not run.
  std::function<Result<std::uint32_t>(const std::string& job_id)> wait_for_exit;
};

/// A thread of its own ("host-attach"). Thread: [control] of its owner.
class AttachSession {
 public:
  AttachSession(Machine& machine, AttachSupport support, AttachRequest request, UniqueFd client);
  ~AttachSession() { worker_.stop(); }
  void start();
  bool done() const { return done_; }
  const std::string& job_id() const { return request_.job_id; }

 private:
  void run(const StopSignal& stop);
  Result<void> wait_for_job();
  Result<void> relay(const StopSignal& stop);
  bool take_from_client();
  Result<void> obey(const ClientFrame& frame);
  bool take_from_job();
  Result<void> send(const std::string& frame);
  void finish();

  Machine& machine_;
  AttachSupport support_;
  AttachRequest request_;
  UniqueFd client_, job_;
  std::string from_client_;
  std::atomic<bool> done_{false};
  Worker worker_;
};

}  // namespace flynn::host
