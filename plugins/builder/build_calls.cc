#include "build_calls.h"

#include <algorithm>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"

namespace flynn::builder {
namespace {

constexpr std::size_t kBuildsMax = 16;
constexpr auto kReaderPatience = 30s;
constexpr int kDrainStepMs = 50;

void write_line(int fd, const json::object& document) {
  (void)write_all(fd, json::serialize(document) + "\n", Deadline::after(kReaderPatience));
}

json::object done_document(const BuildOutcome& outcome) {
  json::object phases;
  for (const auto& [name, ms] : outcome.phases) phases[name] = ms;
  json::array types(outcome.process_types.begin(), outcome.process_types.end());
  return {{"done",
           {{"release_id", outcome.release_id},
            {"artifact_id", outcome.artifact_id},
            {"process_types", types},
            {"phases_ms", phases}}}};
}

void run(Pipeline& pipeline, const BuildRequest& request, UniqueFd& source, int stream, const StopSignal& stop) {
  auto line = [stream](std::string_view text) { write_line(stream, {{"line", text}}); };
  auto outcome = pipeline.run(
      request, [&]() -> Result<UniqueFd> { return std::move(source); }, []() -> Result<void> { return {}; }, line,
      Cancel{{stream}, stop.fd()});
  if (outcome) return write_line(stream, done_document(*outcome));
  write_line(stream, {{"error", {{"code", code_name(outcome.error().code)}, {"message", outcome.error().message}}}});
}

}  // namespace

Result<Reply> BuildCalls::build(Call& call) {
  auto app_id = require_string(call.body, "app_id");
  if (!app_id) return app_id.error();
  auto rev = require_string(call.body, "rev");
  if (!rev) return rev.error();
  if (!is_uuid(*app_id)) return Error{Code::invalid_argument, "member app_id must be a UUID"};
  if (call.fds.size() != 1) return Error{Code::invalid_argument, "descriptor 0 must be the source archive"};
  for (const RunningBuild& build : pipeline_.running()) {
    if (build.app_id == *app_id) return Error{Code::conflict, "build " + build.build_id + " of this app is running"};
  }
  auto stream = make_stream();
  if (!stream) return stream.error();
  BuildRequest request{new_uuid(), *app_id, *rev, string_or(call.body, "branch"), {}, {}};
  if (const json::object* env = find_object(call.body, "env")) request.env = *env;
  struct Ends {
    UniqueFd source, stream;
  };
  auto ends = std::make_shared<Ends>(Ends{std::move(call.fds[0]), std::move(stream->first)});
  std::lock_guard lock(mutex_);
  std::erase_if(running_, [](const auto& one) { return one->ended.load(); });
  if (running_.size() >= kBuildsMax) return Error{Code::resource_exhausted, "16 builds are running"};
  running_.push_back(std::make_unique<Running>());
  Running* raw = running_.back().get();
  raw->worker.start("builder-build", [this, raw, request, ends](const StopSignal& stop) {
    run(pipeline_, request, ends->source, ends->stream.get(), stop);
    ends->stream.reset();
    raw->ended = true;
  });
  return Reply{{{"build_id", request.build_id}}, std::move(stream->second)};
}

void BuildCalls::drain(Deadline deadline) {
  auto busy = [this] {
    std::lock_guard lock(mutex_);
    return std::any_of(running_.begin(), running_.end(), [](const auto& one) { return !one->ended; });
  };
  while (busy() && !deadline.passed()) pause_.wait(std::min(kDrainStepMs, deadline.left_ms()));
}

void BuildCalls::stop() {
  std::list<std::unique_ptr<Running>> ending;
  {
    std::lock_guard lock(mutex_);
    ending.swap(running_);
  }
  for (const auto& one : ending) one->worker.ask_stop();
}

}  // namespace flynn::builder
