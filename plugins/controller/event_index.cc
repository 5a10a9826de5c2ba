#include "event_index.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "document.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kPage = 1000;
/// Of the rows beyond the configured number of events: those that are being pruned.
constexpr std::size_t kRowsMore = 1000;

std::uint64_t digest_of(const std::string& text) { return std::hash<std::string>{}(text); }

}  // namespace

std::uint32_t EventIndex::number_of_text(const std::string& text) {
  return texts_.emplace(text, static_cast<std::uint32_t>(texts_.size())).first->second;
}

void EventIndex::add(const json::object& event) {
  rows_.push_back({number_of(event, "id"), digest_of(text_of(event, "object_id")),
                   number_of_text(text_of(event, "app")), number_of_text(text_of(event, "object_type"))});
  while (rows_.size() > static_cast<std::size_t>(events_max_) + kRowsMore) rows_.pop_front();
}

Verdict EventIndex::catch_up(Store& store, const std::atomic<bool>& stopping) {
  std::lock_guard one(reading_);
  while (!stopping) {
    std::int64_t known = 0;
    {
      std::lock_guard lock(mutex_);
      if (!rows_.empty()) known = rows_.back().id;
    }
    auto page = store.slice(Store::event_key(known + 1), "events0", kPage, false);
    if (!page) return page.error();
    {
      std::lock_guard lock(mutex_);
      for (const Kv& kv : *page) add(kv.value);
    }
    if (static_cast<std::int64_t>(page->size()) < kPage) {
      ready_ = true;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::vector<std::int64_t> EventIndex::find(const EventFilter& filter, Span span, std::int64_t count,
                                           bool newest_first) const {
  std::vector<std::int64_t> out;
  std::lock_guard lock(mutex_);
  const auto known = [&](const std::string& text) {
    const auto found = texts_.find(text);
    return found == texts_.end() ? std::optional<std::uint32_t>{} : std::optional(found->second);
  };
  std::optional<std::uint32_t> app;
  if (!filter.app_id.empty() && !(app = known(filter.app_id))) return out;
  std::vector<std::uint32_t> types;
  for (const std::string& type : filter.object_types) {
    if (auto number = known(type)) types.push_back(*number);
  }
  if (types.empty() && !filter.object_types.empty()) return out;
  const std::uint64_t object = digest_of(filter.object_id);
  const auto passes = [&](const Row& row) {
    if (app && row.app != *app) return false;
    if (!filter.object_id.empty() && row.object != object) return false;
    return types.empty() || std::find(types.begin(), types.end(), row.type) != types.end();
  };
  const auto by_id = [](const Row& row, std::int64_t id) { return row.id < id; };
  const auto begin = std::lower_bound(rows_.begin(), rows_.end(), span.after + 1, by_id);
  const auto end = span.before < 0 ? rows_.end() : std::lower_bound(rows_.begin(), rows_.end(), span.before, by_id);
  const auto full = [&] { return count >= 0 && static_cast<std::int64_t>(out.size()) >= count; };
  if (newest_first) {
    for (auto row = end; row > begin && !full();) {
      if (passes(*--row)) out.push_back(row->id);
    }
  } else {
    for (auto row = begin; row < end && !full(); ++row) {
      if (passes(*row)) out.push_back(row->id);
    }
  }
  return out;
}

}  // namespace flynn::controller
