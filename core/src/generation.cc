#include "generation.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "forever.h"
#include "freed_memory.h"
#include "host_table.h"
#include "reply_sink.h"
#include "thread_code.h"
#include "thread_tag.h"

namespace flynn::core {
namespace {

// The core waits a little longer than it told the plugin, or a phase that uses its whole time would look like a hang.
constexpr std::uint64_t kPatienceNs = 2'000'000'000ULL;

constexpr std::chrono::seconds kCageEndsMax{1};

bool sooner(const Deadline& a, const Deadline& b) { return a.ns < b.ns; }

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Generation::Generation(CoreServices& services, GenerationFacts facts)
    : services_(services), facts_(std::move(facts)), thread_tag_(next_thread_tag()) {}

// Shared with the thread: a phase that hangs may write its error long after we have gone on.
std::function<Result<void>()> Generation::marked(Phase phase) const {
  return [phase = std::move(phase), mark = crash_mark_.index()]() -> Result<void> {
    const RunningCode scope(mark);
    flynn_error error{};
    error.struct_size = sizeof error;
    const flynn_status status = phase(&error);
    if (status == FLYNN_OK) return {};
    const std::size_t size = std::min<std::size_t>(error.message_size, sizeof error.message);
    std::string words(error.message, size);
    if (words.empty()) words = std::string(code_name(code_from_status(status)));
    return Error{code_from_status(status), words};
  };
}

Error Generation::in_words_of_mine(Error error, const char* name) const {
  if (cage_) error.message += cage_hint(error.message, facts_.slot);
  return error.context(facts_.slot + " " + facts_.manifest.version + ": " + name);
}

Result<void> Generation::run(const char* name, Phase phase, Deadline deadline) {
  auto result = control_->run(marked(std::move(phase)), deadline);
  if (!result) return in_words_of_mine(result.error(), name);
  return result;
}

ControlOutcome Generation::run_row(std::vector<ControlStep> steps, const std::function<void(std::size_t step)>& begun) {
  std::vector<const char*> names;
  for (const auto& step : steps) names.push_back(step.name);
  auto outcome = control_->run_row(std::move(steps), begun);
  if (!outcome.result)
    outcome.result = in_words_of_mine(outcome.result.error(), names[std::max<std::size_t>(outcome.ms.size(), 1) - 1]);
  return outcome;
}

Generation::~Generation() {
  if (!gone_) abandon("it was never retired");
}

ProcessFigures Generation::process_figures() const { return read_process_figures(cage_ ? cage_->pid() : 0); }

std::int64_t Generation::thread_count() const {
  if (cage_) return process_figures().threads;
  const auto threads = threads_with_tag(thread_tag_);
  return threads ? static_cast<std::int64_t>(threads->size()) : 0;
}

bool Generation::may_call(std::string_view interface) const {
  const auto wanted = InterfaceId::parse(interface);
  if (!wanted || (wanted->name == "flynn.node" && !facts_.manifest.operates)) return false;
  for (const auto* list : {&facts_.manifest.requires_, &facts_.manifest.optional})
    for (const auto& entry : *list)
      if (entry.same_major(*wanted)) return true;
  return false;
}

Result<void> Generation::configure(const std::string& config_json, Deadline deadline) {
  if (!FLYNN_HAS(table_, configure)) return {};
  return run(
      "configure",
      [self = self_, table = table_, config_json](flynn_error* error) {
        return table->configure(self, flynn_bytes{config_json.data(), config_json.size()}, error);
      },
      deadline);
}

ControlStep Generation::import_step(std::shared_ptr<Reply> state, std::chrono::nanoseconds limit) const {
  const auto name = "import";
  if (!FLYNN_HAS(table_, import_state)) return {name, [] { return Result<void>{}; }, limit};
  return {name, marked(given_to(table_->import_state, std::move(state))), limit};
}

Generation::Phase Generation::given_to(Receiver receiver, std::shared_ptr<Reply> held) const {
  return [self = self_, receiver, held = std::move(held)](flynn_error* error) {
    const std::string body = json::serialize(held->body);
    std::vector<int> fds;
    for (const auto& fd : held->fds) fds.push_back(fd.get());
    return receiver(self, flynn_bytes{body.data(), body.size()}, fds.data(), static_cast<std::uint32_t>(fds.size()),
                    error);
  };
}

Result<void> Generation::receive(const char* name, Receiver receiver, Reply& given, Deadline deadline) {
  // Shared with the thread: a plugin that hangs here must never see a descriptor's number that is somebody else's by
  // then.
  auto held = std::make_shared<Reply>(std::move(given));
  auto received = run(name, given_to(receiver, held), deadline);
  if (!control_->stuck()) given = std::move(*held);
  return received;
}

bool Generation::hands_over() const { return FLYNN_HAS(table_, hand_over) && FLYNN_HAS(table_, take_over); }

Result<Reply> Generation::hand_over(unsigned share_permille, Deadline deadline) {
  auto sink = std::make_shared<ReplySink>();
  const Deadline patience{deadline.ns + kPatienceNs};
  auto given = run(
      "hand over connections",
      [self = self_, table = table_, sink, share_permille, deadline](flynn_error* error) {
        return table->hand_over(self, share_permille, deadline.ns, sink->table(), error);
      },
      patience);
  if (!given) return given.error();
  return sink->take(FLYNN_OK);
}

Result<void> Generation::take_over(Reply& connections, Deadline deadline) {
  return receive("take over connections", table_->take_over, connections, deadline);
}

ControlStep Generation::export_step(std::shared_ptr<ReplySink> sink, std::chrono::nanoseconds limit) const {
  const auto name = "export";
  if (!FLYNN_HAS(table_, export_state)) return {name, [] { return Result<void>{}; }, limit};
  return {name, marked([self = self_, table = table_, sink = std::move(sink)](flynn_error* error) {
            return table->export_state(self, sink->table(), error);
          }),
          limit};
}

ControlStep Generation::step(Simple function, std::chrono::nanoseconds limit) const {
  const auto of = [&](const char* name, auto member) -> ControlStep {
    if (member == nullptr) return {name, [] { return Result<void>{}; }, limit};
    return {name, marked([self = self_, member](flynn_error* error) { return member(self, error); }), limit};
  };
  switch (function) {
    case Simple::start:
      return of("start", FLYNN_HAS(table_, start) ? table_->start : nullptr);
    case Simple::health:
      return of("health", FLYNN_HAS(table_, health) ? table_->health : nullptr);
    case Simple::activate:
      return of("activate", FLYNN_HAS(table_, activate) ? table_->activate : nullptr);
    case Simple::quiesce:
      return of("quiesce", FLYNN_HAS(table_, quiesce) ? table_->quiesce : nullptr);
    case Simple::resume:
      break;
  }
  return of("resume", FLYNN_HAS(table_, resume) ? table_->resume : nullptr);
}

Result<void> Generation::run(Simple function, Deadline deadline) {
  auto step = this->step(function, {});
  auto result = control_->run(std::move(step.body), deadline);
  if (!result) return in_words_of_mine(result.error(), step.name);
  return result;
}

Result<void> Generation::drain(Deadline deadline) {
  if (!FLYNN_HAS(table_, drain)) return {};
  const Deadline patience{deadline.ns + kPatienceNs};
  return run(
      "drain",
      [self = self_, table = table_, deadline](flynn_error* error) { return table->drain(self, deadline.ns, error); },
      patience);
}

Result<void> Generation::stop_and_destroy(Deadline deadline) {
  if (self_ == nullptr) return {};
  host_->revoke();
  if (cage_ && cage_->end()) return {};
  Result<void> stopped;
  if (FLYNN_HAS(table_, stop)) {
    const Deadline patience{deadline.ns + kPatienceNs};
    stopped = run(
        "stop",
        [self = self_, table = table_, deadline](flynn_error* error) { return table->stop(self, deadline.ns, error); },
        patience);
  }
  if (!stopped || !FLYNN_HAS(table_, destroy)) return stopped;
  return run(
      "destroy",
      [self = self_, table = table_](flynn_error*) {
        table->destroy(self);
        return static_cast<flynn_status>(FLYNN_OK);
      },
      deadline);
}

// A process can always be ended: there are no zombies in cages.
void Generation::leave_cage(Deadline deadline) {
  gone_ = true;
  if (host_) host_->revoke();
  if (!cage_) return;
  const bool hangs = control_ && control_->stuck();
  if (hangs) cage_->give_up();
  const bool well = cage_->close(std::min(deadline, Deadline::after(kCageEndsMax), sooner));
  if (!well)
    services_.log.write(FLYNN_LOG_WARN, facts_.slot, "cage_killed",
                        {{"generation", std::to_string(facts_.number)}, {"version", facts_.manifest.version}});
  // A function that hung returns now that its process has gone.
  for (const auto end = Deadline::after(kCageEndsMax); control_ && control_->stuck() && !end.passed();)
    ::poll(nullptr, 0, 1);
  control_.reset();
}

Generation::Retired Generation::retire(Deadline deadline) {
  Retired retired;
  auto start = std::chrono::steady_clock::now();
  Result<void> stopped = stop_and_destroy(deadline);
  retired.stop_ms = ms_since(start);
  if (facts_.cage.own_process) {
    start = std::chrono::steady_clock::now();
    leave_cage(deadline);
    retired.unload_ms = ms_since(start);
    retired.unmapped = true;
    return retired;
  }
  if (!stopped) {
    retired.why_not = stopped.error().message;
    abandon(retired.why_not);
    return retired;
  }
  control_.reset();
  if (!image_) {  // it could not be loaded
    gone_ = true;
    retired.unmapped = true;
    return retired;
  }
  // A thread that was joined may be listed a moment longer.
  auto threads = threads_inside(thread_tag_, file_.path);
  while (!threads.empty() && !deadline.passed()) {
    ::poll(nullptr, 0, 2);
    threads = threads_inside(thread_tag_, file_.path);
  }
  if (!threads.empty()) {
    retired.why_not = "its stop left a thread behind: " + threads.front();
    abandon(retired.why_not);
    return retired;
  }
  gone_ = true;
  start = std::chrono::steady_clock::now();
  retired.unmapped = image_->unload();
  give_back_freed_memory();
  retired.unload_ms = ms_since(start);
  if (!retired.unmapped) {
    crash_mark_.keep();
    retired.why_not = "the dynamic linker keeps it mapped (a thread_local, or a library that refers to it)";
  }
  return retired;
}

void Generation::abandon(const std::string& why) {
  if (gone_) return;
  if (facts_.cage.own_process) return leave_cage(Deadline::after(kCageEndsMax));
  gone_ = true;
  services_.log.write(
      FLYNN_LOG_WARN, facts_.slot, "plugin_zombie",
      {{"generation", std::to_string(facts_.number)}, {"version", facts_.manifest.version}, {"why", why}});
  if (host_) host_->revoke();
  if (image_) image_->abandon();
  crash_mark_.keep();
  // The instance may still use its table of the host.
  keep_forever(std::shared_ptr<void>(std::move(host_)));
}

}  // namespace flynn::core
