#include "documents.h"

#include <boost/json/parse.hpp>

#include "lease_table.h"
#include "store_limits.h"
#include "txn_evaluator.h"

namespace flynn::store {
namespace {

Error invalid(std::string message) { return Error{Code::invalid_argument, std::move(message)}; }

// The SDK's parser has checked that the document is UTF-8; a prefix or bound may be cut anywhere and is only compared.
bool printable(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

Result<std::optional<std::string>> read_bound(const json::object& document, std::string_view member) {
  const auto* found = document.if_contains(member);
  if (found == nullptr || found->is_null()) return std::optional<std::string>();
  if (!found->is_string()) return invalid("member " + std::string(member) + " must be a string");
  if (found->get_string().size() > kKeyBytesMax + 8)
    return invalid(std::string(member) + " is longer than a key can be");
  return std::optional<std::string>(std::string(found->get_string()));
}

Result<Compare> read_compare(const json::value& item) {
  const auto* document = item.if_object();
  if (document == nullptr) return invalid("a compare must be an object");
  Compare compare;
  auto key = read_key(*document, "key");
  if (!key) return key.error();
  compare.key = std::move(*key);

  const auto op = string_or(*document, "op", "=");
  const auto at = std::string_view("=!<>").find(op.empty() ? ' ' : op.front());
  if (at == std::string_view::npos || (op != "=" && op != "!=" && op != "<" && op != ">"))
    return invalid("compare " + compare.key + ": op must be one of = != < >");
  compare.op = static_cast<CompareOp>(at);

  const auto target = string_or(*document, "target");
  const auto* value = document->if_contains("value");
  if (value == nullptr) return invalid("compare " + compare.key + ": member value is missing");
  if (target == "value") {
    compare.target = CompareTarget::value;
    compare.value = *value;
    return compare;
  }
  if (target == "mod")
    compare.target = CompareTarget::mod;
  else if (target == "create")
    compare.target = CompareTarget::create;
  else if (target == "version")
    compare.target = CompareTarget::version;
  else
    return invalid("compare " + compare.key + ": target must be mod, create, version or value");
  auto number = require_int(*document, "value");
  if (!number) return number.error().context("compare " + compare.key);
  compare.number = *number;
  return compare;
}

Result<Op> read_put(const json::object& document) {
  auto key = read_key(document, "key");
  if (!key) return key.error().context("put");
  const auto* value = document.if_contains("value");
  if (value == nullptr) return invalid("put " + *key + ": member value is missing");
  auto text = json::serialize(*value);
  if (text.size() > kValueBytesMax) return invalid("put " + *key + ": the value is larger than 1 MiB");
  auto lease = read_lease(document);
  if (!lease) return lease.error().context("put " + *key);
  return Op{PutOp{std::move(*key), std::make_shared<const std::string>(std::move(text)), *lease}};
}

Result<Op> read_op(const json::value& item) {
  const auto* document = item.if_object();
  if (document == nullptr || document->size() != 1 || !document->begin()->value().is_object())
    return invalid("an operation must be an object with one member: put, delete, get or range");
  const std::string_view kind = document->begin()->key();
  const auto& body = document->begin()->value().get_object();
  if (kind == "put") return read_put(body);
  if (kind == "delete") {
    auto interval = read_key_or_prefix(body);
    if (!interval) return interval.error().context("delete");
    return Op{DeleteOp{std::move(*interval)}};
  }
  if (kind == "get") {
    auto key = read_key(body, "key");
    if (!key) return key.error().context("get");
    return Op{GetOp{std::move(*key)}};
  }
  if (kind == "range") {
    auto query = read_range(body);
    if (!query) return query.error().context("range");
    return Op{RangeOp{std::move(*query)}};
  }
  return invalid("unknown operation \"" + std::string(kind) + "\": put, delete, get or range");
}

template <typename T>
Result<std::vector<T>> read_list(const json::object& document, std::string_view member,
                                 Result<T> (*read)(const json::value&)) {
  std::vector<T> list;
  const auto* found = document.if_contains(member);
  if (found == nullptr || found->is_null()) return list;
  if (!found->is_array()) return invalid("member " + std::string(member) + " must be an array");
  for (const auto& item : found->get_array()) {
    auto each = read(item);
    if (!each) return each.error();
    list.push_back(std::move(*each));
  }
  return list;
}

struct ResultDocument {
  json::object operator()(const PutDone&) const { return {}; }
  json::object operator()(const DeleteDone& done) const { return {{"deleted", done.deleted}}; }
  json::object operator()(const GetDone& done) const {
    if (!done.row) return {{"kv", nullptr}};
    return {{"kv", kv_document(*done.row)}};
  }
  json::object operator()(const RangeRows& rows) const { return range_document(rows); }
};

}  // namespace

Result<std::string> read_key(const json::object& document, std::string_view member) {
  auto key = require_string(document, member);
  if (!key) return key.error();
  if (key->empty() || key->size() > kKeyBytesMax) return invalid(std::string(member) + " must have 1 to 512 bytes");
  if (!printable(*key)) return invalid(std::string(member) + " must be printable: it holds a control character");
  return key;
}

Result<KeyInterval> read_key_or_prefix(const json::object& document) {
  auto prefix = read_bound(document, "prefix");
  if (!prefix) return prefix.error();
  if (*prefix) return KeyInterval::of_prefix(**prefix);
  auto key = read_key(document, "key");
  if (!key) return Error{key.error().code, key.error().message + " (and there is no prefix)"};
  return KeyInterval::of_key(*key);
}

Result<RangeQuery> read_range(const json::object& document) {
  RangeQuery query;
  auto prefix = read_bound(document, "prefix");
  auto from = read_bound(document, "from");
  auto to = read_bound(document, "to");
  for (const auto* bound : {&prefix, &from, &to})
    if (!*bound) return bound->error();
  if (*prefix) {
    query.interval = KeyInterval::of_prefix(**prefix);
  } else if (*from || *to) {
    query.interval = KeyInterval{from->value_or(""), *to};
  } else {
    return invalid("a range needs prefix, or from and to");
  }
  query.limit = int_or(document, "limit");
  if (query.limit < 0) return invalid("limit must not be negative");
  query.descending = bool_or(document, "descending");
  query.keys_only = bool_or(document, "keys_only");
  query.count_only = bool_or(document, "count_only");
  return query;
}

Result<Transaction> read_transaction(const json::object& document) {
  Transaction txn;
  auto compare = read_list<Compare>(document, "compare", read_compare);
  if (!compare) return compare.error();
  auto then_ops = read_list<Op>(document, "then", read_op);
  if (!then_ops) return then_ops.error();
  auto else_ops = read_list<Op>(document, "else", read_op);
  if (!else_ops) return else_ops.error();
  txn.compare = std::move(*compare);
  txn.then_ops = std::move(*then_ops);
  txn.else_ops = std::move(*else_ops);
  if (auto checked = check_shape(txn); !checked) return checked.error();
  return txn;
}

Result<LeaseId> read_lease(const json::object& document) {
  const auto* found = document.if_contains("lease");
  if (found == nullptr || found->is_null()) return LeaseId{0};
  if (!found->is_string()) return invalid("member lease must be a string");
  const auto lease = lease_from_text(found->get_string());
  if (!lease)
    return Error{Code::not_found, "lease \"" + std::string(found->get_string()).substr(0, 64) + "\" is unknown"};
  return *lease;
}

json::object kv_document(const Row& row, bool keys_only) {
  json::object kv{{"key", row.key},
                  {"create_revision", row.entry.create_revision},
                  {"mod_revision", row.entry.mod_revision},
                  {"version", row.entry.version}};
  if (!keys_only) kv["value"] = json::parse(*row.entry.value);
  if (row.entry.lease != 0) kv["lease"] = lease_text(row.entry.lease);
  return kv;
}

json::object range_document(const RangeRows& rows) {
  json::array kvs;
  kvs.reserve(rows.rows.size());
  for (const auto& row : rows.rows) kvs.push_back(kv_document(row, rows.keys_only));
  return {{"kvs", std::move(kvs)}, {"count", rows.count}, {"more", rows.more}};
}

json::array results_document(const std::vector<OpResult>& results) {
  json::array documents;
  for (const auto& result : results) documents.push_back(std::visit(ResultDocument(), result));
  return documents;
}

}  // namespace flynn::store
