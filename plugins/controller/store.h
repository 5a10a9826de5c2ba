/// The platform's state as this component reads and writes it: typed calls of flynn.store/1.
///
/// Every change is one transaction together with its events. Event ids come from the key of the newest event: the
/// transaction asserts that the next key is absent, so ids rise strictly in commit order whoever else writes.
/// Thread: [any].
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api_error.h"
#include "flynn/sdk/host.h"

namespace flynn::controller {

struct Kv {
  std::string key;
  json::object value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
};

struct Event {
  std::string app;  // empty: of no app
  std::string object_type;
  std::string object_id;
  json::value data;
};

/// One transaction. Built by the noun that changes, committed by Store.
class Change {
 public:
  /// The key must still have this mod revision (0: be absent), else the commit answers `conflict`.
  Change& require(std::string key, std::int64_t mod_revision);
  Change& put(std::string key, json::object value);
  Change& remove(std::string key);
  Change& remove_prefix(std::string prefix);
  Change& event(Event event);

 private:
  friend class Store;
  json::array compares_, operations_;
  std::vector<Event> events_;
};

enum class Commit { done, conflict };

class Store {
 public:
  Store(Door& door, std::int64_t events_max) : door_(door), events_max_(events_max) {}

  Outcome<std::optional<Kv>> get(const std::string& key);
  /// In the order of `keys`; absent ones are empty.
  Outcome<std::vector<std::optional<Kv>>> get_many(const std::vector<std::string>& keys);
  Outcome<std::vector<Kv>> range(const std::string& prefix, std::int64_t* revision = nullptr);
  /// Newest first (by creation), as the wire lists things.
  Outcome<std::vector<Kv>> newest_first(const std::string& prefix);
  /// Their keys alone, in that order.
  Outcome<std::vector<std::string>> keys_newest_first(const std::string& prefix);
  /// Up to `limit` of [from, to), descending or not.
  Outcome<std::vector<Kv>> slice(const std::string& from, const std::string& to, std::int64_t limit, bool descending);
  Outcome<std::int64_t> count(const std::string& prefix);
  Outcome<Commit> commit(const Change& change);
  /// As commit, but a conflict is an answer that asks the client to try again.
  Verdict must_commit(const Change& change);
  Outcome<std::int64_t> last_event_id();
  /// Deletes events beyond the configured number, also after that number was lowered.
  Verdict prune_events();

  static std::string event_key(std::int64_t id);

 private:
  Outcome<json::object> call(const char* method, const json::object& body);
  Outcome<std::int64_t> read_last_event_id();
  json::object transaction(const Change& change, std::int64_t last_id) const;

  Door& door_;
  const std::int64_t events_max_;
  std::mutex write_mutex_;  // one writer at a time: the next event id is a shared counter
  std::int64_t last_id_ = -1;
};

}  // namespace flynn::controller
