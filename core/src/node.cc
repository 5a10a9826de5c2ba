#include "node.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "config_schema.h"
#include "forever.h"
#include "in_time.h"
#include "node_interface.h"
#include "runtime_config.h"

namespace flynn::core {
namespace {

constexpr int kHealthPollMs = 20;
constexpr auto kSettled = std::chrono::seconds(15);
constexpr auto kShutdownDrainMax = std::chrono::milliseconds(3'000);

}  // namespace

Node::Node(NodeConfig config, Listeners listeners, EventLog& log)
    : config_(std::move(config)),
      listeners_(std::move(listeners)),
      log_(log),
      cages_(config_.cage_program),
      services_{door_, listeners_, log_, config_.node, config_.data_dir, config_.run_dir, cages_},
      started_at_(now_rfc3339()),
      interface_(std::make_unique<NodeInterface>(*this, log_)) {
  // Here and not at boot: the admin socket answers already while that runs, and a node without slots would look
  // healthy.
  for (const auto& plugin : config_.plugins) {
    auto entry = std::make_unique<SlotPlan>();
    entry->config = plugin;
    entry->slot = std::make_unique<Slot>(plugin.slot);
    plans_.push_back(std::move(entry));
  }
}

Node::~Node() {
  cages_.on_end(nullptr);
  ended_cages_.stop();
}

SlotPlan* Node::plan(const std::string& name) {
  for (auto& entry : plans_)
    if (entry->config.slot == name) return entry.get();
  return nullptr;
}

void Node::set_status(SlotPlan& entry, std::string state, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (entry.status.state != state)
    log_.write(state == "up" || state == "stopped" || state == "starting" ? FLYNN_LOG_INFO : FLYNN_LOG_WARN,
               entry.config.slot, "plugin_" + state, {{"version", entry.manifest.version}, {"reason", reason}});
  const bool news = entry.status.state != state || entry.status.reason != reason;
  entry.status = {std::move(state), std::move(reason)};
  if (news) touched();
}

Result<void> Node::read_manifest(SlotPlan& entry) {
  auto manifest = verify_plugin(boot_file(entry));
  if (!manifest) return manifest.error();
  auto judged = apply_config_schema(manifest->config_schema, entry.config.config_json);
  if (!judged && entry.config.config_json != entry.file_config) {
    // Set for another version than this one: the file's configuration is what was written for it.
    log_.write(FLYNN_LOG_WARN, entry.config.slot, "runtime_config_set_aside", {{"error", judged.error().message}});
    entry.config.config_json = entry.file_config;
    judged = apply_config_schema(manifest->config_schema, entry.config.config_json);
  }
  if (!judged) return judged.error().context(config_.file.string() + ": [plugins." + entry.config.slot + ".config]");
  const std::lock_guard lock(mutex_);  // the admin socket tells them
  entry.manifest = std::move(*manifest);
  entry.config_json = std::move(*judged);
  return {};
}

// What the operator swapped in, unless the configured file has changed since.
std::filesystem::path Node::boot_file(SlotPlan& entry) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  if (!record.current) return entry.config.path;
  const auto configured = digest_of_file(entry.config.path);
  const auto kept = digest_of_file(record.current->path);
  const bool unchanged = configured && *configured == record.configured_digest;
  // Of two that are equal the configured one: its signature may be newer.
  if (configured && *configured == record.current->digest) return entry.config.path;
  return unchanged && kept && *kept == record.current->digest ? std::filesystem::path(record.current->path)
                                                              : entry.config.path;
}

Result<void> Node::boot() {
  std::error_code failure;
  for (const auto& folder :
       {config_.data_dir / "core" / "images", config_.data_dir / "plugins", config_.run_dir / "plugins"}) {
    std::filesystem::create_directories(folder, failure);
    if (failure) return errno_error(failure.value(), "make folder " + folder.string());
  }
  std::filesystem::remove_all(run_images(), failure);  // of a host that is no more
  std::filesystem::create_directories(run_images(), failure);
  for (const auto& folder : {config_.data_dir / "core", run_images()})
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failure);
  auto record = ActiveRecord::load(config_.data_dir / "core" / "active.json");
  if (!record) return record.error();
  record_ = std::move(*record);
  if (!history_) history_ = AuditLog::own(audit_file_of(config_.data_dir), config_.node, log_);
  if (!prepare_hazards()) log_.warn("membarrier_refused", {{"effect", "each call pays a full fence"}});
  for (auto& entry : plans_) {
    {
      const std::lock_guard lock(mutex_);
      entry->file_config = entry->config.config_json;
      entry->config.config_json = config_at_boot(record_.slot(entry->config.slot), entry->file_config);
    }
    settle_record(*entry);
    record_.forget_other_files(entry->config.slot, images_of(entry->config.slot));
    if (auto read = read_manifest(*entry); !read) set_status(*entry, "failed", read.error().message);
  }
  save_or_log("");  // a node that has no room on its disk serves all the same
  cages_.on_end([this](const Cage& cage) { cage_ended(cage); });
  const auto caged =
      std::count_if(plans_.begin(), plans_.end(), [](const auto& entry) { return entry->config.cage.own_process; });
  ended_cages_.start(
      static_cast<std::size_t>(caged), [this](const EndedCage& ended) { return revive(ended); },
      [this](const std::string& slot) { return needs_of(slot); });
  interface_->start();
  door_.announce(*interface_, NodeInterface::id());
  for (auto* entry : start_order()) try_to_start(*entry);
  {
    const std::lock_guard lock(mutex_);
    save_or_log("");
  }
  audit_boot();
  return {};
}

// By what they require, then by the order of the file; those in a circle come last and will say what they miss.
std::vector<SlotPlan*> Node::start_order() {
  const std::lock_guard lock(mutex_);  // a swap changes manifests
  std::vector<SlotPlan*> order, left;
  for (auto& entry : plans_) left.push_back(entry.get());
  const auto provided_by_other = [](const SlotPlan* one, const InterfaceId& wanted,
                                    const std::vector<SlotPlan*>& among) {
    return std::any_of(among.begin(), among.end(), [&](const SlotPlan* other) {
      return other != one && other->manifest.provides_interface(wanted);
    });
  };
  for (const bool heed_optional : {true, false}) {
    bool moved = true;
    while (moved) {
      moved = false;
      for (auto place = left.begin(); place != left.end(); ++place) {
        auto wanted = (*place)->manifest.requires_;
        if (heed_optional)
          wanted.insert(wanted.end(), (*place)->manifest.optional.begin(), (*place)->manifest.optional.end());
        if (std::any_of(wanted.begin(), wanted.end(),
                        [&](const auto& id) { return provided_by_other(*place, id, left); }))
          continue;
        order.push_back(*place);
        left.erase(place);
        moved = true;
        break;
      }
    }
  }
  order.insert(order.end(), left.begin(), left.end());
  return order;
}

std::string Node::missing_for(const Manifest& manifest) const {
  std::string text;
  for (const auto& wanted : manifest.requires_)
    if (!door_.provides(wanted)) text += (text.empty() ? "" : ", ") + wanted.text();
  return text;
}

// Where nothing runs, a full disk must not keep it down: run_dir is seldom on the same one.
Result<StagedFile> Node::stage(SlotPlan& entry, const std::filesystem::path& file, std::int64_t number) {
  const auto into = [&](std::filesystem::path folder) {
    return in_time<StagedFile>(
        "copy " + file.string(), config_.core.lifecycle,
        [file, folder = std::move(folder), number] { return stage_plugin(file, folder, number); });
  };
  auto staged = into(images_of(entry.config.slot));
  if (staged || entry.slot->current() != nullptr) return staged;
  auto aside = into(run_images() / entry.config.slot);
  if (!aside) return staged;
  log_.write(FLYNN_LOG_WARN, entry.config.slot, "copied_to_run_dir",
             {{"error", staged.error().message}, {"effect", "it runs; free space in data_dir before the next swap"}});
  return aside;
}

Result<std::unique_ptr<Generation>> Node::make_generation(SlotPlan& entry, const std::filesystem::path& file,
                                                          const Manifest& manifest) {
  GenerationFacts facts;
  facts.slot = entry.config.slot;
  facts.manifest = manifest;
  facts.listeners = entry.config.listeners.value_or(manifest.listeners);
  facts.cage = entry.config.cage;
  {
    const std::lock_guard lock(mutex_);
    facts.number = ++record_.slot(entry.config.slot).last_generation;
    // The boot saves all numbers at once: disks that take 10 ms to sync would be half of its time.
    if (booted_)
      if (auto saved = record_.save(); !saved) {
        if (entry.slot->current() != nullptr) return saved.error();
        log_.write(FLYNN_LOG_ERROR, entry.config.slot, "record_not_saved", {{"error", saved.error().message}});
      }
  }
  auto staged = stage(entry, file, facts.number);
  if (!staged) return staged.error();
  const auto path = staged->path;
  if (auto admitted = admit(entry, file, *staged, manifest); !admitted) {
    remove_staged(path);
    return admitted.error();
  }
  auto made =
      Generation::create(services_, std::move(facts), std::move(*staged), Deadline::after(config_.core.lifecycle));
  if (!made) remove_staged(path);
  return made;
}

Result<void> Node::bring_up(SlotPlan& entry, const std::filesystem::path& file, const PhaseTold& told) {
  if (const auto missing = missing_for(entry.manifest); !missing.empty())
    return Error{Code::unavailable, "it requires " + missing + ", which no running plugin provides"};
  set_status(entry, "starting");
  const auto enter = [&](const char* phase, std::chrono::milliseconds limit) {
    if (told) told(phase, limit);
  };
  enter("load", config_.core.lifecycle);
  auto made = make_generation(entry, file, entry.manifest);
  if (!made) return made.error();
  auto& generation = **made;
  const auto patience = [&] { return Deadline::after(config_.core.lifecycle); };
  enter("configure", config_.core.lifecycle);
  auto up = generation.configure(entry.config_json, patience());
  if (up) {
    enter("start", config_.core.lifecycle);
    up = generation.start(patience());
  }
  if (up) {
    enter("health", config_.core.healthy);
    const auto deadline = Deadline::after(config_.core.healthy);
    up = generation.health(deadline);
    // It may still be reading its state; a hang, though, is not waited for twice.
    while (!up && !deadline.passed() && up.error().code != Code::deadline_exceeded && !generation.has_ended()) {
      ::poll(nullptr, 0, kHealthPollMs);
      auto again = generation.health(deadline);
      // Asked at the last moment it can't answer in time: its words before say more.
      if (!again && again.error().code == Code::deadline_exceeded && deadline.passed()) break;
      up = std::move(again);
    }
  }
  if (up) {
    // In force before it acts: activate may already bring calls back to it.
    entry.slot->set_current(std::move(*made));
    door_.announce(*entry.slot, entry.manifest.provides);
    enter("activate", config_.core.lifecycle);
    up = generation.activate(patience());
    if (!up) *made = entry.slot->set_current(nullptr);
  }
  if (!up) {
    wait_until_unguarded(generation, Deadline::after(config_.core.stop));
    (*made)->retire(Deadline::after(config_.core.stop));
    return up;
  }
  return {};
}

void Node::try_to_start(SlotPlan& entry) {
  const std::lock_guard lock(entry.slot->lifecycle());
  // An exclusive swap hides the current generation for a moment: what looked empty before the lock may be taken now.
  if (entry.slot->current() != nullptr || stays_quarantined(entry)) return;
  start_now(entry);
}

void Node::start_now(SlotPlan& entry) {
  if (entry.manifest.name.empty())
    if (auto read = read_manifest(entry); !read) return set_status(entry, "failed", read.error().message);
  auto up = bring_up(entry, boot_file(entry));
  if (up) {
    entry.retry_wait = std::chrono::milliseconds(0);
    set_status(entry, "up");
    return audit_start(entry, "up");
  }
  const bool waits =
      up.error().code == Code::unavailable && entry.slot->current() == nullptr && !missing_for(entry.manifest).empty();
  entry.retry_wait =
      waits ? config_.core.retry_min : std::clamp(entry.retry_wait * 2, config_.core.retry_min, config_.core.retry_max);
  entry.retry_at = std::chrono::steady_clock::now() + entry.retry_wait;
  set_status(entry, waits ? "waiting" : "failed", up.error().message);
  if (!waits) audit_start(entry, "failed: " + up.error().message);
}

void Node::tend() {
  // By now whoever wants one of the listening sockets that the keeper kept has borrowed it, and what still runs is
  // good.
  if (booted_ && !has_settled_ && booted_at_ + kSettled < std::chrono::steady_clock::now()) {
    has_settled_ = true;
    listeners_.shut_unborrowed();
    for (auto& entry : plans_)
      if (const std::unique_lock lock(entry->slot->lifecycle(), std::try_to_lock); lock) record_what_serves(*entry);
  }
  for (auto* entry : start_order()) {
    if (stopping_) return;
    if (entry->slot->current() == nullptr) {
      if (!entry->quarantined && std::chrono::steady_clock::now() >= entry->retry_at.load()) try_to_start(*entry);
      continue;
    }
    // A swap that runs looks after the health itself.
    const std::unique_lock lock(entry->slot->lifecycle(), std::try_to_lock);
    if (!lock) continue;
    auto* generation = entry->slot->current();
    if (generation == nullptr) continue;
    auto healthy = generation->health(Deadline::after(config_.core.health_interval));
    set_status(*entry, healthy ? "up" : "unhealthy", healthy ? "" : healthy.error().message);
  }
}

void Node::take_down(SlotPlan& entry) {
  const std::lock_guard lock(entry.slot->lifecycle());
  auto* current = entry.slot->current();
  if (current == nullptr) return;
  record_what_serves(entry);
  const auto drain = std::min(config_.core.drain, kShutdownDrainMax);
  if (auto quiet = current->quiesce(Deadline::after(config_.core.quiesce)); !quiet)
    log_.write(FLYNN_LOG_WARN, entry.config.slot, "quiesce_failed", {{"error", quiet.error().message}});
  if (auto drained = current->drain(Deadline::after(drain)); !drained)
    log_.write(FLYNN_LOG_WARN, entry.config.slot, "drain_cut_short", {{"why", drained.error().message}});
  auto old = entry.slot->set_current(nullptr);
  const auto inside = wait_until_unguarded(*old, Deadline::after(config_.core.stop));
  if (!inside.empty()) {
    old->abandon("calls never left it: " + inside.front());
    keep_forever(std::shared_ptr<void>(std::move(old)));
  } else {
    old->retire(Deadline::after(config_.core.stop));
  }
  set_status(entry, "stopped");
}

void Node::shut_down() {
  stopping_ = true;
  ended_cages_.stop();
  if (interface_) interface_->stop();
  auto order = start_order();
  std::reverse(order.begin(), order.end());
  for (auto* entry : order) take_down(*entry);
}

}  // namespace flynn::core
