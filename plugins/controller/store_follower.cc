#include "store_follower.h"

#include "document.h"

namespace flynn::controller {
namespace {

constexpr int kReopenMs = 200;

}  // namespace

void StoreFollower::start(const char* thread_name) {
  if (worker_.running()) return;
  worker_.start(thread_name, [this](const StopSignal& stop) { run(stop); });
}

void StoreFollower::run(const StopSignal& stop) {
  std::int64_t next = 0;
  while (!stop.asked()) {
    follow(stop, next);
    stop.wait(kReopenMs);
  }
}

void StoreFollower::follow(const StopSignal& stop, std::int64_t& next) {
  json::object ask{{"prefix", prefix_}};
  if (next > 0) ask["revision"] = next;
  auto reply = door_.call("flynn.store/1", "Watch", ask, std::chrono::milliseconds(5000));
  if (!reply) {
    // History was compacted under us: what was missed can't be told any more, the streams go on with what comes.
    if (reply.error().code == Code::out_of_range) next = 0;
    log_.debug("watch_not_opened", {{"prefix", prefix_}, {"error", reply.error().message}});
    return;
  }
  if (reply->fds.empty()) return;
  if (next == 0) {
    next = number_of(reply->body, "revision") + 1;
    on_gap_();
  }
  LineReader reader(std::move(reply->fds.front()));
  while (!stop.asked()) {
    auto status = reader.next(Deadline::none(), stop.fd());
    if (!status || *status != LineReader::Status::line) return;
    auto line = parse_json_object(reader.text());
    if (!line) return;
    if (auto error = stream_error(*line)) {
      if (error->code == Code::out_of_range) next = 0;
      return;
    }
    auto events = parse_watch_events(*line);
    if (!events) continue;
    for (const StoreEvent& event : *events) on_change_(event);
    next = std::max(next, number_of(*line, "revision") + 1);
  }
}

}  // namespace flynn::controller
