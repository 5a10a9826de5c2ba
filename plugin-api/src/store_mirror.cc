#include <algorithm>

#include "flynn/sdk/store.h"

namespace flynn {
namespace {

constexpr int kRetryFirstMs = 20;
constexpr int kRetryMaxMs = 2000;

}  // namespace

StoreMirror::StoreMirror(Door& door, Log& log, std::string prefix, StoreMirrorHandler handler)
    : door_(door), log_(log), prefix_(std::move(prefix)), handler_(std::move(handler)) {}

void StoreMirror::start(const std::string& thread_name) {
  worker_.start(thread_name, [this](const StopSignal& stop) { run(stop); });
}

// True when the watch ended in an ordinary way and may be opened again at next_revision; false: read everything again.
bool StoreMirror::follow(const StopSignal& stop, std::int64_t& next_revision) {
  auto stream = StoreClient(door_).watch(prefix_, next_revision);
  if (!stream) return stream.error().code != Code::out_of_range;
  while (true) {
    auto status = stream->next(Deadline::none(), stop.fd());
    if (!status || *status != LineReader::Status::line) return true;
    auto line = parse_json_object(stream->text());
    if (!line) return false;
    auto events = parse_watch_events(*line);
    if (!events) return events.error().code != Code::out_of_range;
    const auto revision = int_or(*line, "revision");
    if (!events->empty()) handler_.on_events(revision, *events);
    next_revision = std::max(next_revision, revision + 1);
  }
}

void StoreMirror::run(const StopSignal& stop) {
  std::int64_t next_revision = 0;
  int retry_ms = kRetryFirstMs;
  while (!stop.asked()) {
    if (next_revision == 0) {
      auto all = StoreClient(door_).range(prefix_);
      if (!all) {
        log_.warn("store_mirror_waits", {{"prefix", prefix_}, {"error", all.error().message}});
        stop.wait(retry_ms);
        retry_ms = std::min(retry_ms * 2, kRetryMaxMs);
        continue;
      }
      handler_.on_snapshot(*all);
      next_revision = all->revision + 1;
    }
    const auto before = next_revision;
    if (!follow(stop, next_revision)) next_revision = 0;
    retry_ms = next_revision > before ? kRetryFirstMs : std::min(retry_ms * 2, kRetryMaxMs);
    stop.wait(retry_ms);
  }
}

}  // namespace flynn
