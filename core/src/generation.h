// Generation: one loaded image of a slot with its one instance, from create to destroy.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cage.h"
#include "call_counters.h"
#include "control_thread.h"
#include "crash_note.h"
#include "flynn/sdk/call.h"
#include "hazard.h"
#include "log.h"
#include "node_config.h"
#include "plugin_image.h"
#include "process_figures.h"

namespace flynn::core {

class CageYard;
class Door;
class Listeners;
class ReplySink;

/// What every instance may use of the core; the node owns it all.
struct CoreServices {
  Door& door;
  Listeners& listeners;
  EventLog& log;
  std::string node;
  std::filesystem::path data_dir, run_dir;
  CageYard& cages;

  std::filesystem::path data_dir_of(const std::string& slot) const { return data_dir / "plugins" / slot; }
  std::filesystem::path run_dir_of(const std::string& slot) const { return run_dir / "plugins" / slot; }
};

struct GenerationFacts {
  std::string slot;
  std::int64_t number = 0;
  Manifest manifest;
  std::vector<std::string> listeners;  // that it may borrow
  CageConfig cage;
};

/// Lifecycle functions run on a thread of this generation and are waited for until a deadline. Thread: lifecycle
/// [control], handle [any] under a HazardGuard.
class Generation : public Guarded {
 public:
  /// Loads the file and creates the instance.
  static Result<std::unique_ptr<Generation>> create(CoreServices& services, GenerationFacts facts, StagedFile file,
                                                    Deadline deadline);
  /// The instance must have been retired.
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  Result<void> configure(const std::string& config_json, Deadline deadline);
  Result<void> start(Deadline deadline) { return run(Simple::start, deadline); }
  Result<void> health(Deadline deadline) { return run(Simple::health, deadline); }
  Result<void> activate(Deadline deadline) { return run(Simple::activate, deadline); }
  Result<void> quiesce(Deadline deadline) { return run(Simple::quiesce, deadline); }
  Result<void> resume(Deadline deadline) { return run(Simple::resume, deadline); }
  Result<void> drain(Deadline deadline);
  /// The same functions in a row, while callers wait at the door: see ControlThread::run_row.
  enum class Simple { start, health, activate, quiesce, resume };
  ControlStep step(Simple function, std::chrono::nanoseconds limit) const;
  ControlStep import_step(std::shared_ptr<Reply> state, std::chrono::nanoseconds limit) const;
  ControlStep export_step(std::shared_ptr<ReplySink> state, std::chrono::nanoseconds limit) const;
  ControlOutcome run_row(std::vector<ControlStep> steps, const std::function<void(std::size_t step)>& begun);
  /// Wakes its thread for nothing.
  void rehearse() {
    (void)control_->run_row({{"", [] { return Result<void>{}; }, std::chrono::seconds(1)}}, {});
  }
  /// Connections that move to another generation of the slot; nothing when it can't. See flynn_instance_vt.
  bool hands_over() const;
  Result<Reply> hand_over(unsigned share_permille, Deadline deadline);
  Result<void> take_over(Reply& connections, Deadline deadline);

  /// What is left of it, in the end: the gate of the unload.
  struct Retired {
    bool unmapped = false;
    std::string why_not;  // it stays mapped because of this
    double stop_ms = 0, unload_ms = 0;
  };
  /// stop, destroy, unload; anything wrong leaves it mapped for good. Nobody may hold a guard of it.
  Retired retire(Deadline deadline);
  /// Leaves instance and image as they are, for good: somebody is still inside.
  void abandon(const std::string& why);

  flynn_status handle(const flynn_call* call, flynn_reply* reply) const {
    const RunningCode scope(crash_mark_.index());
    return table_->handle(self_, call, reply);
  }
  const GenerationFacts& facts() const { return facts_; }
  const StagedFile& file() const { return file_; }
  const std::string& started_at() const { return started_at_; }
  bool may_call(std::string_view interface) const;
  /// What its calls cost; counted by whoever passes them on.
  CallCounters& calls() { return calls_; }
  /// Live threads that it or its calls have started. 0 when the kernel does not tell (without CAP_SYS_NICE).
  std::int64_t thread_count() const;
  /// Of the process that it runs in.
  ProcessFigures process_figures() const;
  /// Null when it runs in the host's process.
  const Cage* cage() const { return cage_.get(); }
  /// Its cage has ended: it will never be healthy. [any]
  bool has_ended() const { return cage_ && cage_->end().has_value(); }

 private:
  struct HostTable;  // the flynn_host that the instance sees
  Generation(CoreServices& services, GenerationFacts facts);
  using Phase = std::function<flynn_status(flynn_error*)>;
  std::function<Result<void>()> marked(Phase phase) const;
  Error in_words_of_mine(Error error, const char* name) const;
  Result<void> run(Simple function, Deadline deadline);
  using Receiver = flynn_status (*)(void*, flynn_bytes, const int*, std::uint32_t, flynn_error*);
  Phase given_to(Receiver receiver, std::shared_ptr<Reply> held) const;
  Result<void> receive(const char* name, Receiver receiver, Reply& given, Deadline deadline);
  Result<void> run(const char* name, Phase phase, Deadline deadline);
  Result<void> load_image(Deadline deadline);
  Result<void> enter_process(Deadline deadline);
  Result<void> enter_cage(Deadline deadline);
  Result<void> stop_and_destroy(Deadline deadline);
  void leave_cage(Deadline deadline);
  void make_folders();

  CoreServices& services_;
  GenerationFacts facts_;
  StagedFile file_;
  std::unique_ptr<PluginImage> image_;  // or
  std::shared_ptr<Cage> cage_;
  std::shared_ptr<HostTable> host_;
  void* self_ = nullptr;
  const flynn_instance_vt* table_ = nullptr;
  std::string started_at_;
  bool gone_ = false;
  std::uint32_t thread_tag_ = 0;
  CrashMark crash_mark_;
  CallCounters calls_;
  std::unique_ptr<ControlThread> control_;
};

}  // namespace flynn::core
