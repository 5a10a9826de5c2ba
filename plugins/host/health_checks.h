// HealthChecks: asks jobs whether they serve, and announces those that do in discovery.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"
#include "job_spec.h"

namespace flynn::host {

/// Connects, or asks for the path and takes any status below 500. `unavailable` with the reason.
Result<void> check_once(const ServiceCheck& check, const std::string& address, std::uint16_t port,
                        std::chrono::milliseconds timeout);

enum class Announce { yes, no };

/// One thread ("host-health") for all jobs, which works inside the gate. Borrows door, log and gate. Callbacks run on
/// it. Thread: [any].
class HealthChecks {
 public:
  struct Callbacks {
    std::function<void()> passed;                         // every check has passed once
    std::function<void(const std::string& why)> gave_up;  // not within its start timeout
  };
  HealthChecks(Door& door, Log& log, Gate& gate) : door_(door), log_(log), gate_(gate) {}
  ~HealthChecks() { stop(); }

  void start();
  void stop() { worker_.stop(); }
  /// Forgets all jobs, and leaves them announced.
  void clear();
  /// `already_up`: an adopted job that has passed before.
  void add(const JobSpec& spec, const std::string& address, bool already_up, Announce announce, Callbacks callbacks);
  /// Out of discovery and never in it again, while checks go on. Returns when the registration has gone.
  void withdraw(const std::string& job_id);
  /// Out of discovery, and no further checks. Returns when the registration has gone.
  void remove(const std::string& job_id);

 private:
  using Clock = std::chrono::steady_clock;
  struct Port {
    JobPort spec;
    bool passed_once = false, registered = false;
    bool registered_before = false;  // of a job that was adopted: the instance before may have announced it
    int failures = 0;
    std::string lease, last_error;
    Clock::time_point next, renew_at;
  };
  struct Job {
    JobSpec spec;
    std::string address;
    std::vector<Port> ports;
    Callbacks callbacks;
    bool told = false;
    Announce announce = Announce::yes;  // tending_
    Clock::time_point began;
  };
  void run(const StopSignal& stop);
  void tend(const std::string& job_id);
  void tend_port(Job& job, Port& port);
  void register_port(Job& job, Port& port);
  static bool may_be_registered(const Port& port) { return port.registered || port.registered_before; }
  void deregister(const std::string& job_id, const std::string& service);
  int next_wait_ms();

  Door& door_;
  Log& log_;
  Gate& gate_;
  std::mutex mutex_;    // the map
  std::mutex tending_;  // held while a job is being asked: remove() waits for it
  std::map<std::string, std::shared_ptr<Job>> jobs_;
  Worker worker_;
};

}  // namespace flynn::host
