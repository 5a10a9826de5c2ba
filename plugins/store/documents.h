// The JSON documents of flynn.store/1, to and from values.
#pragma once

#include "flynn/sdk/json.h"
#include "transaction.h"

namespace flynn::store {

/// 1-512 bytes of printable UTF-8. `member` names it in the error.
Result<std::string> read_key(const json::object& document, std::string_view member);
Result<RangeQuery> read_range(const json::object& document);
/// {prefix} or {key}.
Result<KeyInterval> read_key_or_prefix(const json::object& document);
Result<Transaction> read_transaction(const json::object& document);
/// The `lease` member; 0 when absent. not_found when it can't be a lease of this store.
Result<LeaseId> read_lease(const json::object& document);

json::object kv_document(const Row& row, bool keys_only = false);
json::object range_document(const RangeRows& rows);
json::array results_document(const std::vector<OpResult>& results);

}  // namespace flynn::store
