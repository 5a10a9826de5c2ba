// A transaction and its outcome, as values.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "key_space.h"

namespace flynn::store {

enum class CompareTarget { mod, create, version, value };
enum class CompareOp { equal, not_equal, less, greater };

struct Compare {
  std::string key;
  CompareTarget target = CompareTarget::mod;
  CompareOp op = CompareOp::equal;
  std::int64_t number = 0;   // mod, create, version
  boost::json::value value;  // value
};

struct RangeQuery {
  KeyInterval interval;
  std::int64_t limit = 0;  // 0: the maximum
  bool descending = false;
  bool keys_only = false;
  bool count_only = false;
};

struct RangeRows {
  std::vector<Row> rows;
  std::int64_t count = 0;  // all that match
  bool more = false;
  bool keys_only = false;
};

struct PutOp {
  std::string key;
  std::shared_ptr<const std::string> value;
  LeaseId lease = 0;
};
struct DeleteOp {
  KeyInterval interval;
};
struct GetOp {
  std::string key;
};
struct RangeOp {
  RangeQuery query;
};
using Op = std::variant<PutOp, DeleteOp, GetOp, RangeOp>;

struct Transaction {
  std::vector<Compare> compare;
  std::vector<Op> then_ops;
  std::vector<Op> else_ops;

  /// True when neither branch can change anything.
  bool read_only() const;
};

struct PutDone {};
struct DeleteDone {
  std::int64_t deleted = 0;
};
struct GetDone {
  std::optional<Row> row;
};
using OpResult = std::variant<PutDone, DeleteDone, GetDone, RangeRows>;

/// One key's change within one revision.
struct Event {
  std::string key;
  std::optional<Entry> entry;        // absent: deleted
  std::int64_t previous_record = 0;  // the record that this one supersedes
};

struct TxnOutcome {
  bool succeeded = false;
  std::vector<OpResult> results;
  std::vector<Event> events;  // empty: nothing changed, no revision
};

}  // namespace flynn::store
