#include "txn_evaluator.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "store_limits.h"

namespace flynn::store {
namespace {

template <typename T>
bool holds(const T& left, CompareOp op, const T& right) {
  switch (op) {
    case CompareOp::equal:
      return left == right;
    case CompareOp::not_equal:
      return !(left == right);
    case CompareOp::less:
      return left < right;
    case CompareOp::greater:
      return right < left;
  }
  return false;
}

// Order is defined between two numbers and between two strings; nothing else is less or greater.
bool value_holds(const boost::json::value& left, CompareOp op, const boost::json::value& right) {
  if (op == CompareOp::equal || op == CompareOp::not_equal) return (left == right) == (op == CompareOp::equal);
  if (left.is_string() && right.is_string()) return holds(left.get_string(), op, right.get_string());
  if (!left.is_number() || !right.is_number()) return false;
  if (left.is_int64() && right.is_int64()) return holds(left.get_int64(), op, right.get_int64());
  return holds(left.to_number<double>(), op, right.to_number<double>());
}

bool compare_holds(const Compare& compare, const KeyView& view) {
  const Entry* entry = view.find(compare.key);
  switch (compare.target) {
    case CompareTarget::mod:
      return holds(entry ? entry->mod_revision : 0, compare.op, compare.number);
    case CompareTarget::create:
      return holds(entry ? entry->create_revision : 0, compare.op, compare.number);
    case CompareTarget::version:
      return holds(entry ? entry->version : 0, compare.op, compare.number);
    case CompareTarget::value:
      break;
  }
  if (entry == nullptr) return compare.op == CompareOp::not_equal;
  return value_holds(boost::json::parse(*entry->value), compare.op, compare.value);
}

KeyInterval written(const Op& op) {
  if (const auto* put = std::get_if<PutOp>(&op)) return KeyInterval::of_key(put->key);
  return std::get<DeleteOp>(op).interval;
}

bool writes(const Op& op) { return std::holds_alternative<PutOp>(op) || std::holds_alternative<DeleteOp>(op); }

Result<void> check_branch(const std::vector<Op>& ops) {
  std::vector<KeyInterval> intervals;
  std::size_t bytes = 0;
  for (const auto& op : ops) {
    if (const auto* put = std::get_if<PutOp>(&op)) bytes += put->value->size();
    if (writes(op)) intervals.push_back(written(op));
  }
  if (bytes > kTxnBytesMax)
    return Error{Code::invalid_argument, "the values of a transaction are larger than 8 MiB together: split it"};
  std::sort(intervals.begin(), intervals.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
  for (std::size_t i = 1; i < intervals.size(); ++i)
    if (intervals[i - 1].overlaps(intervals[i]))
      return Error{Code::invalid_argument, "a transaction writes key \"" + intervals[i].from + "\" twice"};
  return {};
}

class Run {
 public:
  Run(Staging& staging, Revision revision) : staging_(staging), revision_(revision) {}

  OpResult operator()(const PutOp& op) {
    const Entry* before = staging_.find(op.key);
    Entry entry;
    entry.value = op.value;
    entry.create_revision = before ? before->create_revision : revision_;
    entry.mod_revision = revision_;
    entry.version = before ? before->version + 1 : 1;
    entry.lease = op.lease;
    entry.record_id = next_record();
    events_.push_back({op.key, entry, before ? before->record_id : 0});
    staging_.put(op.key, std::move(entry));
    return PutDone{};
  }
  OpResult operator()(const DeleteOp& op) {
    std::vector<std::string> keys;
    for (const auto& item : staging_.scan(op.interval)) keys.emplace_back(item.key);
    for (const auto& key : keys) erase(key);
    return DeleteDone{static_cast<std::int64_t>(keys.size())};
  }
  OpResult operator()(const GetOp& op) const {
    const Entry* entry = staging_.find(op.key);
    return GetDone{entry ? std::optional<Row>(Row{op.key, *entry}) : std::nullopt};
  }
  OpResult operator()(const RangeOp& op) const { return evaluate_range(staging_, op.query); }

  void erase(const std::string& key) {
    const Entry* before = staging_.find(key);
    if (before == nullptr) return;
    next_record();  // deletes take a record too
    events_.push_back({key, std::nullopt, before->record_id});
    staging_.erase(key);
  }
  std::vector<Event> take_events() { return std::move(events_); }

 private:
  std::int64_t next_record() { return revision_ * kRecordsPerRevision + static_cast<std::int64_t>(events_.size()); }

  Staging& staging_;
  Revision revision_;
  std::vector<Event> events_;
};

}  // namespace

bool Transaction::read_only() const {
  return std::none_of(then_ops.begin(), then_ops.end(), writes) &&
         std::none_of(else_ops.begin(), else_ops.end(), writes);
}

Result<void> check_shape(const Transaction& txn) {
  for (const auto size : {txn.compare.size(), txn.then_ops.size(), txn.else_ops.size()})
    if (size > kTxnOperationsMax)
      return Error{Code::invalid_argument,
                   "compare, then and else have at most 128 entries each: split the transaction"};
  if (auto checked = check_branch(txn.then_ops); !checked) return checked.error().context("then");
  if (auto checked = check_branch(txn.else_ops); !checked) return checked.error().context("else");
  return {};
}

RangeRows evaluate_range(const KeyView& view, const RangeQuery& query) {
  auto items = view.scan(query.interval);
  RangeRows result;
  result.count = static_cast<std::int64_t>(items.size());
  result.keys_only = query.keys_only;
  if (query.count_only) return result;
  if (query.descending) std::reverse(items.begin(), items.end());
  const auto limit = query.limit == 0 ? kRangeKeysMax : std::min(query.limit, kRangeKeysMax);
  std::size_t bytes = 0;
  for (const auto& item : items) {
    if (static_cast<std::int64_t>(result.rows.size()) == limit || bytes > kRangeBytesMax) {
      result.more = true;
      break;
    }
    if (!query.keys_only) bytes += item.entry->value->size();
    result.rows.push_back({std::string(item.key), *item.entry});
  }
  return result;
}

Result<TxnOutcome> evaluate(const Transaction& txn, Staging& staging, Revision revision, const LeaseAlive& alive) {
  TxnOutcome outcome;
  outcome.succeeded = std::all_of(txn.compare.begin(), txn.compare.end(),
                                  [&](const Compare& compare) { return compare_holds(compare, staging); });
  const auto& ops = outcome.succeeded ? txn.then_ops : txn.else_ops;
  for (const auto& op : ops)
    if (const auto* put = std::get_if<PutOp>(&op); put != nullptr && put->lease != 0 && !alive(put->lease))
      return Error{Code::not_found, "put " + put->key + ": its lease is unknown or has expired"};

  Staging layer(staging);
  Run run(layer, revision);
  for (const auto& op : ops) outcome.results.push_back(std::visit(run, op));
  outcome.events = run.take_events();
  if (outcome.events.size() > kTxnDeletedKeysMax)
    return Error{Code::resource_exhausted, "a transaction deletes at most 50000 keys: delete them in parts"};
  staging.absorb(std::move(layer));
  return outcome;
}

TxnOutcome evaluate_revoke(LeaseId lease, Staging& staging, Revision revision) {
  Run run(staging, revision);
  for (const auto& key : staging.keys_of_lease(lease)) run.erase(key);
  TxnOutcome outcome;
  outcome.succeeded = true;
  outcome.events = run.take_events();
  return outcome;
}

}  // namespace flynn::store
