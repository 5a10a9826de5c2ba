#include "store.h"

#include <algorithm>
#include <cstdio>

#include "document.h"
#include "ident.h"

namespace flynn::controller {
namespace {

constexpr const char* kInterface = "flynn.store/1";
constexpr std::chrono::milliseconds kTimeout{15'000};
constexpr std::size_t kOperationsMax = 128;  // of one transaction of the store
constexpr std::int64_t kPageSize = 1000;
constexpr std::int64_t kKeysPageSize = 10'000;
/// Events are pruned a hundred at a time: the ids that share all but the last two digits.
constexpr std::int64_t kPruneBlock = 100;
constexpr int kCommitTries = 8;

Kv kv_of(const json::object& raw) {
  return {text_of(raw, "key"), object_of(raw, "value"), number_of(raw, "create_revision"),
          number_of(raw, "mod_revision")};
}

std::vector<Kv> kvs_of(const json::object& reply) {
  std::vector<Kv> out;
  const json::value* kvs = member(reply, "kvs");
  if (kvs == nullptr || !kvs->is_array()) return out;
  out.reserve(kvs->get_array().size());
  for (const json::value& raw : kvs->get_array()) {
    if (raw.is_object()) out.push_back(kv_of(raw.get_object()));
  }
  return out;
}

std::string end_of_prefix(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

json::object compare(const std::string& key, std::int64_t mod_revision) {
  return {{"key", key}, {"target", "mod"}, {"op", "="}, {"value", mod_revision}};
}

std::string block_prefix(std::int64_t block) {
  std::string key = Store::event_key(block * kPruneBlock);
  return key.substr(0, key.size() - 2);
}

}  // namespace

Change& Change::require(std::string key, std::int64_t mod_revision) {
  compares_.push_back(compare(key, mod_revision));
  return *this;
}

Change& Change::put(std::string key, json::object value) {
  value["v"] = 1;
  operations_.push_back(json::object{{"put", json::object{{"key", key}, {"value", std::move(value)}}}});
  return *this;
}

Change& Change::remove(std::string key) {
  operations_.push_back(json::object{{"delete", json::object{{"key", key}}}});
  return *this;
}

Change& Change::remove_prefix(std::string prefix) {
  operations_.push_back(json::object{{"delete", json::object{{"prefix", prefix}}}});
  return *this;
}

Change& Change::event(Event event) {
  events_.push_back(std::move(event));
  return *this;
}

std::string Store::event_key(std::int64_t id) {
  char text[32];
  std::snprintf(text, sizeof text, "events/%020lld", static_cast<long long>(id));
  return text;
}

Outcome<json::object> Store::call(const char* method, const json::object& body) {
  auto reply = door_.call(kInterface, method, body, kTimeout);
  if (!reply) {
    // Only what cannot have happened may be repeated blindly by a client.
    bool retry = reply.error().code == Code::unavailable;
    return unknown_error(std::string("store ") + method + ": " + reply.error().message, retry);
  }
  return std::move(reply->body);
}

Outcome<std::optional<Kv>> Store::get(const std::string& key) {
  auto reply = call("Get", {{"key", key}});
  if (!reply) return reply.error();
  const json::value* kv = member(*reply, "kv");
  if (kv == nullptr || !kv->is_object()) return std::optional<Kv>{};
  return std::optional<Kv>(kv_of(kv->get_object()));
}

Outcome<std::vector<std::optional<Kv>>> Store::get_many(const std::vector<std::string>& keys) {
  std::vector<std::optional<Kv>> out;
  for (std::size_t begin = 0; begin < keys.size(); begin += kOperationsMax) {
    json::array gets;
    for (std::size_t i = begin; i < std::min(keys.size(), begin + kOperationsMax); ++i) {
      gets.push_back(json::object{{"get", json::object{{"key", keys[i]}}}});
    }
    auto reply = call("Txn", {{"compare", json::array{}}, {"then", std::move(gets)}, {"else", json::array{}}});
    if (!reply) return reply.error();
    for (const json::value& result : array_of(*reply, "results")) {
      const json::value* kv = result.is_object() ? member(result.get_object(), "kv") : nullptr;
      out.push_back(kv != nullptr && kv->is_object() ? std::optional<Kv>(kv_of(kv->get_object())) : std::nullopt);
    }
  }
  if (out.size() != keys.size()) return unknown_error("store Txn: the answer has another number of results");
  return out;
}

Outcome<std::vector<Kv>> Store::range(const std::string& prefix, std::int64_t* revision) {
  std::vector<Kv> out;
  std::string from = prefix;
  std::string to = end_of_prefix(prefix);
  while (true) {
    auto reply = call("Range", {{"from", from}, {"to", to}, {"limit", kPageSize}});
    if (!reply) return reply.error();
    // A watch begins after the first page's revision: what the later pages show twice is only repeated.
    if (revision != nullptr && out.empty()) *revision = number_of(*reply, "revision");
    std::vector<Kv> page = kvs_of(*reply);
    bool more = flag_of(*reply, "more") && !page.empty();
    std::move(page.begin(), page.end(), std::back_inserter(out));
    if (!more) return out;
    from = out.back().key + "\x01";
  }
}

Outcome<std::vector<Kv>> Store::newest_first(const std::string& prefix) {
  auto all = range(prefix);
  if (!all) return all.error();
  std::stable_sort(all->begin(), all->end(),
                   [](const Kv& a, const Kv& b) { return a.create_revision > b.create_revision; });
  return all;
}

Outcome<std::vector<std::string>> Store::keys_newest_first(const std::string& prefix) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  std::string from = prefix;
  const std::string to = end_of_prefix(prefix);
  for (bool more = true; more;) {
    auto reply = call("Range", {{"from", from}, {"to", to}, {"limit", kKeysPageSize}, {"keys_only", true}});
    if (!reply) return reply.error();
    const json::array kvs = array_of(*reply, "kvs");
    for (const json::value& raw : kvs) {
      const json::object& kv = raw.as_object();
      found.emplace_back(number_of(kv, "create_revision"), text_of(kv, "key"));
    }
    more = flag_of(*reply, "more") && !kvs.empty();
    if (more) from = found.back().second + "\x01";
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> keys;
  keys.reserve(found.size());
  for (auto& [revision, key] : found) keys.push_back(std::move(key));
  return keys;
}

Outcome<std::vector<Kv>> Store::slice(const std::string& from, const std::string& to, std::int64_t limit,
                                      bool descending) {
  auto reply = call("Range", {{"from", from}, {"to", to}, {"limit", limit}, {"descending", descending}});
  if (!reply) return reply.error();
  return kvs_of(*reply);
}

Outcome<std::int64_t> Store::count(const std::string& prefix) {
  auto reply = call("Range", {{"prefix", prefix}, {"count_only", true}});
  if (!reply) return reply.error();
  return number_of(*reply, "count");
}

Outcome<std::int64_t> Store::read_last_event_id() {
  auto newest = slice("events/", "events0", 1, true);
  if (!newest) return newest.error();
  if (newest->empty()) return std::int64_t{0};
  return number_of(newest->front().value, "id");
}

Outcome<std::int64_t> Store::last_event_id() {
  std::lock_guard lock(write_mutex_);
  return read_last_event_id();
}

json::object Store::transaction(const Change& change, std::int64_t last_id) const {
  json::array compares = change.compares_;
  json::array operations = change.operations_;
  std::string now = now_text();
  std::int64_t id = last_id;
  for (const Event& event : change.events_) {
    ++id;
    json::object document{{"v", 1}, {"id", id}};
    if (!event.app.empty()) document["app"] = event.app;
    document["object_type"] = event.object_type;
    document["object_id"] = event.object_id;
    document["data"] = event.data;
    document["created_at"] = now;
    compares.push_back(compare(event_key(id), 0));
    operations.push_back(json::object{{"put", json::object{{"key", event_key(id)}, {"value", std::move(document)}}}});
    std::int64_t oldest_block = (id - events_max_) / kPruneBlock;
    if (id > events_max_ && id % kPruneBlock == 0 && oldest_block > 0) {
      operations.push_back(json::object{{"delete", json::object{{"prefix", block_prefix(oldest_block - 1)}}}});
    }
  }
  json::array reread;
  for (const json::value& item : change.compares_) {
    reread.push_back(json::object{{"get", json::object{{"key", item.as_object().at("key")}}}});
  }
  return {{"compare", std::move(compares)}, {"then", std::move(operations)}, {"else", std::move(reread)}};
}

Outcome<Commit> Store::commit(const Change& change) {
  std::lock_guard lock(write_mutex_);
  for (int tries = 0; tries < kCommitTries; ++tries) {
    if (last_id_ < 0 && !change.events_.empty()) {
      auto last = read_last_event_id();
      if (!last) return last.error();
      last_id_ = *last;
    }
    auto reply = call("Txn", transaction(change, last_id_));
    if (!reply) {
      last_id_ = -1;  // whether it happened is unknown
      return reply.error();
    }
    if (flag_of(*reply, "succeeded")) {
      if (last_id_ >= 0) last_id_ += static_cast<std::int64_t>(change.events_.size());
      return Commit::done;
    }
    json::array now = array_of(*reply, "results");
    for (std::size_t i = 0; i < change.compares_.size() && i < now.size(); ++i) {
      std::int64_t found = number_of(object_of(now[i].as_object(), "kv"), "mod_revision");
      if (found != number_of(change.compares_[i].as_object(), "value")) return Commit::conflict;
    }
    last_id_ = -1;  // somebody else wrote an event
  }
  return unknown_error("another writer keeps taking the next event id", true);
}

Verdict Store::must_commit(const Change& change) {
  auto done = commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict)
    return conflict("changed by someone else at the same moment; read it again and repeat");
  return std::nullopt;
}

Verdict Store::prune_events() {
  std::lock_guard lock(write_mutex_);
  auto last = read_last_event_id();
  if (!last) return last.error();
  std::int64_t keep_from = (*last - events_max_) / kPruneBlock * kPruneBlock;
  while (keep_from > 0) {
    auto oldest = slice("events/", event_key(keep_from), 1, false);
    if (!oldest) return oldest.error();
    if (oldest->empty()) break;
    json::array deletes;
    std::int64_t block = number_of(oldest->front().value, "id") / kPruneBlock;
    for (; deletes.size() < kOperationsMax && block < keep_from / kPruneBlock; ++block) {
      deletes.push_back(json::object{{"delete", json::object{{"prefix", block_prefix(block)}}}});
    }
    auto reply = call("Txn", {{"compare", json::array{}}, {"then", std::move(deletes)}, {"else", json::array{}}});
    if (!reply) return reply.error();
  }
  return std::nullopt;
}

}  // namespace flynn::controller
