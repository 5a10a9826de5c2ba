#include "checks.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "cage_yard.h"
#include "child_processes.h"
#include "config_schema.h"
#include "contract.h"
#include "contract_checks.h"
#include "hostile.h"
#include "process_figures.h"
#include "stream_text.h"

namespace flynn::authoring {
namespace {

constexpr int kCycles = 1'000, kWarmUpCycles = 100, kSwaps = 25, kWarmUpSwaps = 5, kFuzzedCalls = 2'000;
// Over 900 cycles: what the allocator keeps (16 KiB were seen), not what a plugin leaks.
constexpr std::int64_t kMemoryGrowthMax = 512 << 10;
// What waits on purpose is no hang.
constexpr auto kPatience = std::chrono::milliseconds(200);
// Less than the host's own time for loading (10 s): a constructor that loops never returns to be given up. What is
// retired is given up before, so that the check can say what is left.
constexpr auto kLoadTime = std::chrono::seconds(8), kRetireTime = std::chrono::seconds(3);
constexpr auto kCreateTime = std::chrono::seconds(10), kStartTime = std::chrono::seconds(60);
// A process that was told to end needs its time.
constexpr auto kEndTime = std::chrono::seconds(2);
const std::set<std::string> kCapabilities{"net", "exec", "mount", "operate", "low_ports", "key"};

Verdict check_manifest(const Trial& trial) {
  if (auto facts = core::probe_elf(trial.plugin); !facts)
    return fail(facts.error().message + " (FILE is the .so that flynn_add_plugin builds: build/NAME.so)");
  auto manifest = core::verify_plugin(trial.plugin);
  if (!manifest) return fail(manifest.error().message);
  for (const auto& capability : manifest->capabilities)
    if (!kCapabilities.contains(capability) && !capability.starts_with("listen:"))
      return fail("capability \"" + capability +
                  "\" is none that a host knows (net, exec, mount, operate, low_ports, key, listen:NAME)");
  if (manifest->provides.empty()) return fail("it provides nothing: nobody could call it");
  auto config = core::apply_config_schema(manifest->config_schema, trial.config_json);
  if (!config)
    return fail("its configuration " + trial.config_json + ": " + config.error().message +
                " (--config FILE gives another)");
  return pass(manifest->name + " " + manifest->version);
}

Verdict check_symbols(const Trial& trial) {
  auto facts = core::probe_elf(trial.plugin);
  if (!facts) return fail(facts.error().message);
  if (facts->exports != std::vector<std::string>{"flynn_plugin_entry_1"}) {
    std::string names;
    for (const auto& name : facts->exports) names += " " + name;
    return fail("it exports" + names + "; only flynn_plugin_entry_1 may be seen (flynn_add_plugin does that)");
  }
  return pass();
}

// One image, created and destroyed, without a node.
class Cycle {
 public:
  explicit Cycle(const Trial& trial) : trial_(trial) {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-cycle.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    log_ = std::move(*core::EventLog::open(folder_ + "/log", "error"));
    listeners_ = std::move(*core::Listeners::open({}));
    if (auto manifest = core::verify_plugin(trial.plugin))
      manifest_ = *manifest;
    else
      unreadable_ = manifest.error().message;
  }
  ~Cycle() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string once() {
    if (!unreadable_.empty()) return unreadable_;
    core::CoreServices services{door_, listeners_, *log_, "trial", folder_ + "/data", folder_ + "/run", cages_};
    core::GenerationFacts facts;
    facts.slot = kTrialSlot;
    facts.number = ++number_;
    facts.manifest = manifest_;
    auto staged = core::stage_plugin(trial_.plugin, folder_ + "/images", number_);
    if (!staged) return staged.error().message;
    const auto path = staged->path;
    auto made = core::Generation::create(services, facts, *staged, Deadline::after(kCreateTime));
    if (!made) return made.error().message;
    const auto retired = (*made)->retire(Deadline::after(kRetireTime));
    core::remove_staged(path);
    return retired.unmapped ? std::string() : "it stays mapped: " + retired.why_not;
  }

 private:
  const Trial& trial_;
  std::string folder_, unreadable_;
  core::Door door_;
  core::Listeners listeners_;
  core::CageYard cages_{"/proc/self/exe"};
  std::unique_ptr<core::EventLog> log_;
  core::Manifest manifest_;
  std::int64_t number_ = 0;
};

Verdict check_load(const Trial& trial) {
  Cycle cycle(trial);
  trial.doing("its constructors, create, destroy or destructors");
  if (auto wrong = cycle.once(); !wrong.empty()) return fail(wrong);
  return pass();
}

Verdict check_cycles(const Trial& trial) {
  Cycle cycle(trial);
  core::ProcessFigures before;
  for (int i = 0; i < kCycles; ++i) {
    if (i == kWarmUpCycles) before = core::read_process_figures();
    if (auto wrong = cycle.once(); !wrong.empty()) return fail("cycle " + std::to_string(i + 1) + ": " + wrong);
  }
  const auto after = core::read_process_figures();
  if (after.descriptors + after.sockets != before.descriptors + before.sockets)
    return fail("descriptors grew from " + std::to_string(before.descriptors + before.sockets) + " to " +
                std::to_string(after.descriptors + after.sockets));
  if (after.threads != before.threads)
    return fail("threads grew from " + std::to_string(before.threads) + " to " + std::to_string(after.threads));
  const auto grown = after.memory_bytes - before.memory_bytes;
  if (grown > kMemoryGrowthMax)
    return fail("memory grew by " + std::to_string(grown >> 10) + " KiB in " + std::to_string(kCycles - kWarmUpCycles) +
                " cycles");
  return pass(std::to_string(kCycles) + " cycles, memory " + (grown < 0 ? "-" : "+") +
              std::to_string(std::abs(grown) >> 10) + " KiB");
}

Verdict check_start(const Trial& trial) {
  TrialNode node(trial);
  trial.doing("configure, start, health or activate");
  if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
  return pass();
}

// Empty, or what still runs a while after the stop.
std::string process_left_behind() {
  std::vector<ChildProcess> left;
  for (const auto end = Deadline::after(kEndTime); !(left = running_children()).empty() && !end.passed();)
    ::poll(nullptr, 0, 20);
  if (left.empty()) return {};
  return "the process " + left.front().name + " (" + std::to_string(left.front().pid) +
         ") still runs: what start starts, stop must end";
}

Verdict check_lifecycle(const Trial& trial) {
  TrialNode node(trial);
  if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
  const auto start = std::chrono::steady_clock::now();
  node.node().shut_down();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  auto facts = node.node().inspect(kTrialSlot);
  if (!facts || string_or(*facts, "state") != "stopped") return fail("it did not stop");
  if (auto late = node.end_fault(); !late.empty()) return fail("it did not end as it must: " + late);
  if (auto left = process_left_behind(); !left.empty()) return fail("it stopped, but " + left);
  return pass("drained and stopped in " + std::to_string(took.count()) + " ms");
}

Verdict check_swap(const Trial& trial) {
  TrialNode node(trial);
  if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
  std::atomic<bool> ends{false};
  std::atomic<int> lost{0};
  std::string words;
  if (node.manifest().provides.empty()) return fail("it provides nothing: nobody could call it");
  const auto interface = node.manifest().provides.front();
  const auto id = interface.name + "/" + std::to_string(interface.major);
  // A method that nobody has: a plugin answers "unimplemented", an empty slot "unavailable".
  std::thread caller([&] {
    while (!ends) {
      auto reply = node.call(id, "NoSuchMethod", "{}");
      if (!reply && reply.error().code == Code::unavailable && lost.fetch_add(1) == 0) words = reply.error().message;
    }
  });
  std::string wrong;
  core::ProcessFigures before;
  for (int i = 0; i < kSwaps && wrong.empty(); ++i) {
    if (i == kWarmUpSwaps) before = core::read_process_figures();
    auto swapped = node.swap();
    if (!swapped)
      wrong = "swap " + std::to_string(i + 1) + ": " + swapped.error().message;
    else if (!swapped->report.unmapped)
      wrong = "swap " + std::to_string(i + 1) + ": the old one stays mapped: " + swapped->report.left_mapped_because;
  }
  ends = true;
  caller.join();
  if (!wrong.empty()) return fail(wrong);
  if (lost > 0) return fail(std::to_string(lost) + " calls found nobody: " + words);
  // Those of the plugins beside it come and go; one left by each swap does not.
  const auto after = core::read_process_figures();
  const auto left = after.descriptors + after.sockets - before.descriptors - before.sockets;
  if (left >= kSwaps - kWarmUpSwaps)
    return fail(std::to_string(left) + " descriptors were left open by " + std::to_string(kSwaps - kWarmUpSwaps) +
                " swaps: what start opens, stop must close");
  return pass(std::to_string(kSwaps) + " swaps, no call lost");
}

struct Target {
  std::string interface, method, example = "{}";
  bool takes_descriptor = false;
};

std::vector<Target> targets_of(const Trial& trial) {
  std::vector<Target> targets;
  auto manifest = core::verify_plugin(trial.plugin);
  if (!manifest) return targets;
  for (const auto& interface : manifest->provides) {
    const auto id = interface.name + "/" + std::to_string(interface.major);
    targets.push_back({id, "NoSuchMethod"});
    auto contract = load_contract(id);
    if (contract && *contract)
      for (const auto& method : (*contract)->methods)
        targets.push_back({id, method.name, json::serialize(method.example), method.takes_descriptor});
  }
  return targets;
}

// Empty, or what a plugin does wrong with descriptors: it is sent some that are closed, and one that stays its
// sender's.
std::string descriptor_fault(const Trial& trial, TrialNode& node, const Target& target, int closed) {
  const auto& [interface, method, example, takes_descriptor] = target;
  for (const auto& body : {std::string("{}"), example})
    for (const auto& fds : {std::vector{closed}, std::vector{-1, closed}}) {
      trial.doing(method + " " + body + " with closed descriptors");
      (void)node.call(interface, method, body, fds);  // any error will do; golden plugins of ABI 1.0 call it internal
    }
  const auto lent = file_with("check");
  trial.doing(method + " " + example + " with a descriptor");
  (void)node.call(interface, method, example, {lent.get()}, kPatience);
  if (::fcntl(lent.get(), F_GETFD) < 0)
    return method + " has closed the descriptor that it was lent: it must duplicate what it keeps (rule R9)";
  return {};
}

std::string health_fault(TrialNode& node) {
  node.node().tend();
  auto facts = node.node().inspect(kTrialSlot);
  if (facts && string_or(*facts, "state") == "up") return {};
  return "it is no longer healthy: " + (facts ? string_or(*facts, "reason") : facts.error().message);
}

Verdict check_hostile(const Trial& trial) {
  TrialNode node(trial);
  if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
  const auto targets = targets_of(trial);
  if (targets.empty()) return fail("it provides nothing: nobody could call it");
  const UniqueFd gone(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int closed = ::fcntl(gone.get(), F_DUPFD_CLOEXEC, 500);
  ::close(closed);
  for (const auto& target : targets) {
    for (const auto& body : hostile_bodies()) {
      trial.doing(target.method + " with " + body.what);
      auto reply = node.call(target.interface, target.method, body.text);
      if (!reply && reply.error().code == Code::internal)
        return fail(target.method + " with " + body.what + " answers internal: " + reply.error().message);
    }
    if (auto wrong = descriptor_fault(trial, node, target, closed); !wrong.empty()) return fail(wrong);
  }
  auto reply = node.call(targets.front().interface, "NoSuchMethod", "{}");
  if (reply || reply.error().code != Code::unimplemented)
    return fail("a method that it does not have must answer unimplemented, not " +
                (reply ? std::string("a reply") : std::string(code_name(reply.error().code))));
  if (auto wrong = health_fault(node); !wrong.empty()) return fail("after hostile calls " + wrong);
  return pass();
}

Verdict check_fuzz(const Trial& trial) {
  TrialNode node(trial);
  if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
  std::mt19937_64 chance(trial.seed);
  const auto targets = targets_of(trial);
  if (targets.empty()) return fail("it provides nothing: nobody could call it");
  for (int i = 0; i < kFuzzedCalls; ++i) {
    const auto& [interface, method, example, takes_descriptor] = targets[chance() % targets.size()];
    const auto text = mutated(example, chance);
    trial.doing("call " + std::to_string(i + 1) + ": " + method + " " + text);
    const auto file = file_with(text);
    const bool with_descriptor = takes_descriptor && chance() % 2 == 0;
    (void)node.call(interface, method, text, with_descriptor ? std::vector{file.get()} : std::vector<int>{}, kPatience);
  }
  if (auto wrong = health_fault(node); !wrong.empty())
    return fail("after " + std::to_string(kFuzzedCalls) + " odd calls " + wrong);
  return pass("seed " + std::to_string(trial.seed));
}

}  // namespace

std::vector<Check> checks_for(const Trial& trial) {
  std::vector<Check> checks{
      {.name = "manifest",
       .title = "the manifest, the ABI, versions and the configuration's schema",
       .run = check_manifest,
       .is_gate = true},
      {.name = "symbols", .title = "one exported symbol", .run = check_symbols},
      {.name = "load",
       .title = "loaded, created, destroyed, unmapped",
       .run = check_load,
       .is_gate = true,
       .limit = kLoadTime},
      {.name = "cycles",
       .title = "1,000 times loaded, created, destroyed, unmapped: nothing is left",
       .run = check_cycles},
      {.name = "start", .title = "it starts and is healthy", .run = check_start, .is_gate = true, .limit = kStartTime},
      {.name = "lifecycle",
       .title = "it starts, is healthy, drains and stops within its deadlines",
       .run = check_lifecycle},
      {.name = "swap", .title = "25 times swapped under calls", .run = check_swap},
      {.name = "hostile", .title = "broken, huge and deep documents, closed descriptors", .run = check_hostile},
      {.name = "fuzz", .title = "2,000 calls made by chance", .run = check_fuzz, .by_chance = true}};
  if (auto manifest = core::verify_plugin(trial.plugin))
    for (const auto& interface : manifest->provides)
      for (auto& check : contract_checks(interface.name + "/" + std::to_string(interface.major), interface.minor)) {
        check.of_contract = true;
        checks.push_back(std::move(check));
      }
  return checks;
}

}  // namespace flynn::authoring
