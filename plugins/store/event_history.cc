#include "event_history.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "lease_table.h"

namespace flynn::store {
namespace {

constexpr std::size_t kEventOverheadBytes = 200;

void add_event(std::string& line, Revision revision, const Event& event) {
  const auto key = boost::json::serialize(boost::json::string_view(event.key));
  line += event.entry ? R"({"type":"put","kv":{"key":)" : R"({"type":"delete","kv":{"key":)";
  line += key;
  if (event.entry) {
    line += R"(,"value":)" + *event.entry->value;
    line += R"(,"create_revision":)" + std::to_string(event.entry->create_revision);
    line += R"(,"version":)" + std::to_string(event.entry->version);
    if (event.entry->lease != 0) line += R"(,"lease":")" + lease_text(event.entry->lease) + '"';
  }
  line += R"(,"mod_revision":)" + std::to_string(revision) + "}}";
}

}  // namespace

std::size_t RevisionEvents::bytes() const {
  std::size_t sum = kEventOverheadBytes;
  for (const auto& event : events)
    sum += kEventOverheadBytes + event.key.size() + (event.entry ? event.entry->value->size() : 0);
  return sum;
}

void EventHistory::append(RevisionEventsPtr events) {
  const std::lock_guard lock(mutex_);
  head_ = events->revision;
  bytes_ += events->bytes();
  revisions_.push_back(std::move(events));
  while (bytes_ > bytes_max_ && revisions_.size() > 1) drop_oldest();
}

void EventHistory::served(Revision next) {
  const std::lock_guard lock(mutex_);
  while (bytes_ > tail_bytes_ && revisions_.front()->revision < next) drop_oldest();
}

void EventHistory::drop_oldest() {
  bytes_ -= revisions_.front()->bytes();
  revisions_.pop_front();
}

RevisionEventsPtr EventHistory::find(Revision revision) const {
  const std::lock_guard lock(mutex_);
  if (revisions_.empty() || revision < revisions_.front()->revision || revision > head_) return nullptr;
  return revisions_[static_cast<std::size_t>(revision - revisions_.front()->revision)];
}

Revision EventHistory::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

std::size_t EventHistory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::string watch_line(const RevisionEvents& revision, const KeyInterval& interval) {
  std::string line;
  for (const auto& event : revision.events) {
    if (!interval.contains(event.key)) continue;
    line += line.empty() ? R"({"revision":)" + std::to_string(revision.revision) + R"(,"events":[)" : ",";
    add_event(line, revision.revision, event);
  }
  if (!line.empty()) line += "]}\n";
  return line;
}

std::string progress_line(Revision revision) {
  return R"({"revision":)" + std::to_string(revision) + R"(,"progress":true})" + '\n';
}

std::string error_line(std::string_view code, std::string_view message) {
  const boost::json::object line{{"error", boost::json::object{{"code", code}, {"message", message}}}};
  return boost::json::serialize(line) + '\n';
}

}  // namespace flynn::store
