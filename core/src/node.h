// Node: the host process: every slot of the configuration, booted in order, kept healthy, replaced on demand, stopped
// in reverse.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "active_record.h"
#include "audit_log.h"
#include "cage_yard.h"
#include "change_board.h"
#include "crash_note.h"
#include "door.h"
#include "ended_cages.h"
#include "listeners.h"
#include "slot_change.h"
#include "swap.h"
#include "swap_plan.h"
#include "trust.h"

namespace flynn::core {

/// What an operator sees of a slot.
struct SlotStatus {
  std::string state = "waiting";  // waiting | starting | up | unhealthy | failed | stopped
  std::string reason;             // why it is not up
};

class NodeInterface;

/// Which state of a file a digest is of: every write and every exchange of the file changes one of these.
struct KnownFile {
  std::uint64_t inode = 0, device = 0;
  std::int64_t size = 0, changed_s = 0, changed_ns = 0;
  std::string digest;  ///< empty: not to be relied on

  bool is_as(const KnownFile& other) const {
    return inode == other.inode && device == other.device && size == other.size && changed_s == other.changed_s &&
           changed_ns == other.changed_ns;
  }
};

struct SlotPlan {
  PluginConfig config;
  std::string file_config;  // config.config_json as the file has it
  std::unique_ptr<Slot> slot;
  Manifest manifest;
  std::string config_json;  // judged, defaults filled in
  SlotStatus status;        // under Node::mutex_
  bool settled = true;      // false from a swap's start until its probation has passed; under Node::mutex_
  std::vector<std::string> zombies;
  std::chrono::milliseconds retry_wait{0};
  std::atomic<std::chrono::steady_clock::time_point> retry_at{};
  std::atomic<bool> quarantined{false};  // crashed too often: not started until the operator says so
  std::string note;                      // what the operator should know of how it came to be; under Node::mutex_
  KnownFile configured;                  // the configured file when it was read last; by the holder of lifecycle()
  json::object signature;                // of the newest generation; under Node::mutex_
  std::string judged_digest;             // of the file whose signature was told of last; under Node::mutex_
  std::string told_outcome;              // what the audit log knows of its starts; under lifecycle()
};

struct SwapOutcome {
  SwapReport report;
  json::object from, to;
  bool taken_back = false;  ///< `from` was on canary or probation and never in force
};

/// At the begin of a phase; `limit` is its deadline, zero when it has none of its own.
using PhaseTold = std::function<void(const char* phase, std::chrono::milliseconds limit)>;

/// Thread: boot, tend, shut_down by the main thread; the rest [any].
class Node {
 public:
  Node(NodeConfig config, Listeners listeners, EventLog& log);
  ~Node();

  /// Before boot(): the audit log that the keeper writes; without one the node writes it itself.
  void use_audit_log(std::unique_ptr<AuditLog> log) { history_ = std::move(log); }
  /// Before boot(): what the last host left when it died.
  void remember_crash(CrashNote note) { last_crash_ = std::move(note); }

  /// Folders, record, every plugin in the order of what they require. An error: nothing can run at all.
  Result<void> boot();
  /// Health of each, and another try for those that failed. About once a second.
  void tend();
  /// Reverse order; every image that can be is unloaded.
  void shut_down();

  Result<SwapOutcome> swap(const std::string& slot, const std::filesystem::path& file, const SwapOptions& options,
                           const SwapProgress& progress);
  Result<SwapOutcome> swap(const std::string& slot, const std::filesystem::path& file, std::chrono::milliseconds drain,
                           const SwapProgress& progress);
  Result<SwapOutcome> roll_back(const std::string& slot, const SwapProgress& progress, const SwapOptions& options = {});
  /// Starts what is not running: failed, or crashed too often. Its state then; an error says why it is not up.
  Result<std::string> start_plugin(const std::string& slot);
  /// True: in force at once; false: by a swap of the same version.
  Result<bool> configure(const std::string& slot, const std::string& config_json, const SwapOptions& options = {},
                         const SwapProgress& progress = {});
  /// What that swap would do; changes nothing. The document is described in docs/decisions/0008-plan-is-the-judge.md.
  Result<json::object> plan_swap(const std::string& slot, const std::filesystem::path& file,
                                 const SwapOptions& options);
  /// What runs now, for watchers.
  ChangeBoard& changes() { return changes_; }
  bool has_slot(const std::string& name) { return plan(name) != nullptr; }

  /// What flynn.node/1 tells of a slot: version, configuration without its secrets, versions kept.
  Result<json::object> plugin_facts(const std::string& slot);
  json::array plugin_facts();
  /// A whole configuration of `wanted`: secrets that it does not name are those in force. Judged by the schema in
  /// force.
  Result<std::string> completed_config(const std::string& slot, const json::object& wanted);
  /// invalid_argument names the key at fault.
  Result<void> judge_config(const std::string& slot, const std::string& config_json);
  Result<std::string> effective_config(const std::string& slot);
  /// The file of a version that can be swapped in without giving a path.
  Result<std::filesystem::path> kept_version(const std::string& slot, const std::string& digest);

  json::object list();
  Result<json::object> inspect(const std::string& slot);
  json::object status();
  AuditLog& history() { return *history_; }
  Door& door() { return door_; }
  const NodeConfig& config() const { return config_; }

 private:
  SlotPlan* plan(const std::string& name);
  std::vector<SlotPlan*> start_order();
  std::string missing_for(const Manifest& manifest) const;
  Result<void> read_manifest(SlotPlan& entry);
  class Attempt;
  using FileChoice = std::function<Result<std::filesystem::path>()>;
  Result<void> bring_up(SlotPlan& entry, const std::filesystem::path& file, const PhaseTold& enter = {});
  Result<std::unique_ptr<Generation>> make_generation(SlotPlan& entry, const std::filesystem::path& file,
                                                      const Manifest& manifest);
  Result<StagedFile> stage(SlotPlan& entry, const std::filesystem::path& file, std::int64_t number);
  Result<void> admit(SlotPlan& entry, const std::filesystem::path& file, const StagedFile& staged,
                     const Manifest& manifest);
  void settle_record(SlotPlan& entry);
  void note_undone(SlotPlan& entry, json::object undone, std::string words);
  void settle_crash(SlotPlan& entry, SlotRecord& record, const CrashNote& crash);
  bool stays_quarantined(SlotPlan& entry);
  void lift_quarantine(SlotPlan& entry);
  Result<SwapOutcome> install(SlotPlan& entry, const std::filesystem::path& file, const SwapOptions& options,
                              SlotChange& change);
  void audit_start(SlotPlan& entry, const std::string& outcome);
  void audit_boot();
  json::object version_in_force(const SlotPlan& entry) const;
  json::object newest_signature(const SlotPlan& entry) const;
  std::filesystem::path boot_file(SlotPlan& entry);
  void try_to_start(SlotPlan& entry);
  void start_now(SlotPlan& entry);
  void take_down(SlotPlan& entry);
  void set_status(SlotPlan& entry, std::string state, std::string reason = {});
  Result<std::unique_ptr<SlotChange>> begin_change(SlotPlan& entry, const std::string& action, SwapOptions options);
  Result<SwapOutcome> replace(SlotPlan& entry, const std::filesystem::path& file, SwapOptions options,
                              const std::string& why, SlotChange& change, const SwapProgress& progress);
  /// `choose` is asked once no other change of the slot runs.
  std::string why_given_up(const SlotPlan& entry) const;
  std::optional<Result<SwapOutcome>> outcome_of_taken_back(const std::string& slot, std::int64_t change,
                                                           const SwapOptions& options);
  Result<SwapOutcome> change_version(SlotPlan& entry, const std::string& action, const FileChoice& choose,
                                     const SwapOptions& options, const SwapProgress& progress);
  Result<std::filesystem::path> file_of_previous(const std::string& slot);
  Result<bool> apply_config(SlotPlan& entry, const std::string& config_json, const SwapOptions& options,
                            SlotChange& change, const SwapProgress& progress);
  /// `old`: what runs in the slot; null: nothing.
  PlanInput plan_input(const SlotPlan& entry, const Generation* old, const std::filesystem::path& file) const;
  SwapOptions filled_in(SwapOptions options) const;
  Result<void> record_pending(SlotPlan& entry, const Generation& next);
  /// Durable: `next`, which was read from `file`, is in force. An error: the record is as it was. `also` changes the
  /// record in the same write.
  using RecordChange = std::function<void(SlotRecord& record)>;
  Result<void> record_commit(SlotPlan& entry, const RecordedVersion& next, const std::filesystem::path& file,
                             const RecordedVersion* old, const RecordChange& also = {});
  /// What a boot goes back to when a swap to `next` (empty: none) does not last. Saved with the next record; false:
  /// it was known.
  bool record_in_force(SlotPlan& entry, const RecordedVersion& running, const std::filesystem::path& next);
  void record_what_serves(SlotPlan& entry);   // by the holder of lifecycle()
  void save_or_log(const std::string& slot);  // under mutex_
  /// Of a swap that failed.
  void forget_swap(SlotPlan& entry);
  void forget_other_files(SlotPlan& entry);
  void note_zombies(SlotPlan& entry, const SwapReport& report, const json::object& from);
  json::object describe(const SlotPlan& entry) const;
  json::object slot_facts(SlotPlan& entry);
  json::array kept_versions(SlotPlan& entry);
  Result<SlotPlan*> known(const std::string& slot);
  /// Makes a configuration durable. An error: the record is as it was.
  Result<void> record_config(SlotPlan& entry, const std::string& config_json);
  void set_settled(SlotPlan& entry, bool settled);
  /// Something that flynn.node/1 tells of may have changed.
  void touched();
  std::filesystem::path run_images() const { return config_.run_dir / "images"; }
  std::filesystem::path images_of(const std::string& slot) const { return config_.data_dir / "core" / "images" / slot; }

  /// On the threads of ended_cages_, for several slots at once.
  std::vector<std::string> revive(const EndedCage& ended);
  std::vector<std::string> down_for_want_of(const std::string& slot);
  SlotNeeds needs_of(const std::string& slot);
  bool put_away(SlotPlan& entry, const EndedCage& ended);
  void cage_ended(const Cage& cage);
  void settle_cage_crash(SlotPlan& entry, const CrashNote& crash);

  NodeConfig config_;
  Listeners listeners_;
  EventLog& log_;
  ChangeBoard changes_;
  Door door_;
  CageYard cages_;
  CoreServices services_;
  std::unique_ptr<AuditLog> history_;
  std::optional<CrashNote> last_crash_;
  std::vector<std::unique_ptr<SlotPlan>> plans_;  // in the order of the file; fixed
  mutable std::mutex mutex_;                      // statuses and the record
  ActiveRecord record_;
  std::string started_at_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> booted_{false};
  bool has_settled_ = false;                           // tend() only
  std::chrono::steady_clock::time_point booted_at_{};  // before tend() begins
  std::unique_ptr<NodeInterface> interface_;
  EndedCages ended_cages_;
};

}  // namespace flynn::core
