#include "own_figures.h"

#include "reply_sink.h"

namespace flynn::core {
namespace {

// Shared with the thread, which may still be inside the plugin when nobody waits any more.
struct Question {
  explicit Question(Generation& generation, Deadline patience) : place(&generation), deadline(patience) {}

  Result<void> put() {
    // Whoever unloads the generation sees by this guard that somebody is inside.
    const HazardGuard<Generation> guard(place);
    constexpr std::string_view interface = "flynn.plugin/1", method = "Figures", body = "{}", caller = "core";
    flynn_call call{};
    call.struct_size = sizeof call;
    call.interface = {interface.data(), interface.size()};
    call.method = {method.data(), method.size()};
    call.body = {body.data(), body.size()};
    call.caller = {caller.data(), caller.size()};
    call.deadline_ns = deadline.ns;
    ReplySink sink;
    auto reply = sink.take(guard.get()->handle(&call, sink.table()));
    if (!reply) return reply.error();
    answer = std::move(reply->body);
    return {};
  }

  std::atomic<Generation*> place;
  Deadline deadline;
  json::object answer;
};

}  // namespace

std::optional<json::object> OwnFigures::ask(Generation& generation, Deadline deadline) {
  if (!thread_) thread_ = std::make_unique<ControlThread>("figures", 0);
  const auto question = std::make_shared<Question>(generation, deadline);
  const auto answered = thread_->run([question] { return question->put(); }, deadline);
  // A plugin that answers everything with anything does not count as one that tells figures.
  if (!answered || !find_int(question->answer, "served")) return std::nullopt;
  return std::move(question->answer);
}

std::optional<CallFigures> OwnFigures::counts(Generation& generation, Deadline deadline) {
  const auto document = ask(generation, deadline);
  if (!document) return std::nullopt;
  const auto number = [&](const char* member) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, int_or(*document, member)));
  };
  CallFigures figures;
  figures.calls = number("served");
  figures.faults = number("failed");
  figures.latency_us_sum = number("latency_us_sum");
  return figures;
}

}  // namespace flynn::core
