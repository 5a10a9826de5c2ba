// A generation from its file to the instance that was created: in this process or in a cage.
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "cage_user.h"
#include "cage_yard.h"
#include "generation.h"
#include "host_table.h"

namespace flynn::core {
namespace {

// So that those of a version that hangs each time are counted within the window of crashes.
constexpr std::chrono::seconds kLoadMax{10};

// What the plugin's manifest and the node's configuration grant it.
Result<CageWalls> walls_of(const GenerationFacts& facts, const CoreServices& services) {
  CageWalls walls;
  walls.data_dir = services.data_dir_of(facts.slot);
  walls.run_dir = services.run_dir_of(facts.slot);
  const auto& capabilities = facts.manifest.capabilities;
  const auto has = [&](const char* name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  if (auto may = may_be_caged(capabilities); !may) return may.error();
  walls.net = has("net");
  walls.exec = has("exec");
  walls.low_ports = has("low_ports");
  walls.memory_bytes = facts.cage.memory_mb << 20;
  walls.may_read = facts.cage.may_read;
  walls.may_write = facts.cage.may_write;
  walls.landlock = facts.cage.landlock;
  walls.file_view = facts.cage.file_view;
  const std::lock_guard one_at_a_time(services.cages.users());
  auto user = settle_cage_user(walls.data_dir, walls.run_dir);
  if (!user) return user.error();
  walls.user = *user;
  if (!has("key")) return walls;
  const auto key = key_file_of(walls.data_dir);
  if (auto given = settle_cage_key(key, *user); !given) return given.error();
  walls.may_write.push_back(key);
  return walls;
}

}  // namespace

Result<std::unique_ptr<Generation>> Generation::create(CoreServices& services, GenerationFacts facts, StagedFile file,
                                                       Deadline deadline) {
  std::unique_ptr<Generation> made(new Generation(services, std::move(facts)));
  made->file_ = std::move(file);
  made->started_at_ = now_rfc3339();
  made->make_folders();
  auto created = made->facts_.cage.own_process ? made->enter_cage(deadline) : made->enter_process(deadline);
  if (created) return made;
  if (made->control_ && made->control_->stuck() && !made->cage_)
    made->abandon(created.error().message);
  else
    made->retire(deadline);
  return created.error();
}

void Generation::make_folders() {
  for (const auto& folder : {services_.data_dir_of(facts_.slot), services_.run_dir_of(facts_.slot)}) {
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failure);
  }
}

// The dynamic linker is held by whoever loads: where a constructor never returns, nothing can be loaded or unloaded in
// this process any more. So the process ends, the plugin is to blame, and the next one does without this version.
Result<void> Generation::load_image(Deadline deadline) {
  struct Loaded {
    Result<std::unique_ptr<PluginImage>> image = Error{};
  };
  const auto loaded = std::make_shared<Loaded>();
  const auto returned = control_->run(
      [loaded, file = file_, manifest = facts_.manifest, mark = crash_mark_.index()]() -> Result<void> {
        const RunningCode its_constructors(mark);
        loaded->image = PluginImage::load(file, manifest);
        return {};
      },
      std::min(deadline, Deadline::after(kLoadMax), [](const auto& a, const auto& b) { return a.ns < b.ns; }));
  if (!returned) {
    services_.log.write(
        FLYNN_LOG_ERROR, facts_.slot, "plugin_hangs_while_it_is_loaded",
        {{"version", facts_.manifest.version},
         {"effect", "the host process ends and comes back without it"},
         {"next", "look at the plugin's constructors of static objects: flynn-plugin check FILE --only load"}});
    control_->signal(SIGABRT);
    while (true) ::pause();
  }
  if (!loaded->image) return loaded->image.error();
  image_ = std::move(*loaded->image);
  crash_mark_.locate(file_.path);
  return {};
}

Result<void> Generation::enter_process(Deadline deadline) {
  if (auto ours = leave_cage_user(services_.data_dir_of(facts_.slot), services_.run_dir_of(facts_.slot)); !ours)
    return ours;
  crash_mark_ = CrashMark(facts_.slot, file_.digest, thread_tag_);
  control_ = std::make_unique<ControlThread>("ctl-" + facts_.slot, thread_tag_);
  if (auto loaded = load_image(deadline); !loaded) return loaded;
  host_ = std::make_shared<HostTable>(services_, *this);
  struct Born {
    void* self = nullptr;
    const flynn_instance_vt* table = nullptr;
  };
  const auto born = std::make_shared<Born>();
  auto created = run(
      "create",
      [born, descriptor = &image_->descriptor(), host = host_->table()](flynn_error* error) {
        return descriptor->create(host, &born->self, &born->table, error);
      },
      deadline);
  if (!created) return created;
  self_ = born->self;
  table_ = born->table;
  if (self_ == nullptr || !FLYNN_HAS(table_, handle) || !FLYNN_HAS(table_, destroy))
    return Error{Code::failed_precondition, facts_.slot + ": create left no instance with handle and destroy"};
  return {};
}

Result<void> Generation::enter_cage(Deadline deadline) {
  CageSpec spec;
  spec.slot = facts_.slot;
  spec.manifest = facts_.manifest;
  spec.image = file_.path;
  auto walls = walls_of(facts_, services_);
  if (!walls) return walls.error().context(facts_.slot + ": cage = \"process\"");
  spec.walls = std::move(*walls);
  host_ = std::make_shared<HostTable>(services_, *this);
  spec.info_json = host_->info_json();
  spec.host = std::shared_ptr<const flynn_host>(host_, host_->table());
  auto cage = Cage::open(services_.cages, std::move(spec), deadline);
  if (!cage) return cage.error();
  cage_ = std::move(*cage);
  for (const auto& wall : cage_->raised())
    if (!wall.stands && wall.wanted)
      services_.log.write(FLYNN_LOG_WARN, facts_.slot, "cage_lacks_a_wall", {{"what", wall.how}});
  control_ = std::make_unique<ControlThread>("ctl-" + facts_.slot, thread_tag_);
  auto created = run(
      "create", [cage = cage_](flynn_error* error) { return cage->create(error); }, deadline);
  if (!created) return created;
  self_ = cage_->self();
  table_ = cage_->table();
  return {};
}

}  // namespace flynn::core
