// ExecSession: one more process in a running job, for a client that speaks attach frames.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "attach_frames.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"
#include "machine.h"

namespace flynn::host {

struct ExecRequest {
  std::string job_id;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;  // on top of the job's own
  bool tty = false;
  std::uint16_t rows = 24, columns = 80;
};

/// The OCI runtime's `exec` with our pipes or terminal. Unlike a job it does not outlive its client: who leaves sends
/// it SIGHUP, and SIGKILL 5 s later. A thread of its own ("host-exec"). Thread: [control] of its owner.
class ExecSession {
 public:
  ExecSession(Machine& machine, ExecRequest request, UniqueFd client, std::string pid_file);
  ~ExecSession() { worker_.stop(); }
  void start();
  bool done() const { return done_; }

 private:
  Result<void> spawn();
  Result<void> make_streams(std::vector<std::pair<int, int>>& fds, std::vector<UniqueFd>& theirs);
  std::vector<std::string> command() const;
  void run(const StopSignal& stop);
  void relay(const StopSignal& stop);
  void take_output(UniqueFd& from, std::uint8_t stream);
  bool take_from_client();
  void obey(const ClientFrame& frame);
  void write_input();
  void signal(int number);
  pid_t process_id() const;  // of the process in the job, 0 when not known yet
  void client_left();
  int wait_status();
  Result<void> send(const std::string& frame);

  Machine& machine_;
  ExecRequest request_;
  UniqueFd client_, input_, output_, errors_, child_;
  const std::string pid_file_;
  pid_t pid_ = -1;  // of the runtime
  std::string from_client_, to_process_;
  bool end_input_ = false;
  std::optional<std::chrono::steady_clock::time_point> kill_at_;
  std::atomic<bool> done_{false};
  Worker worker_;
};

}  // namespace flynn::host
