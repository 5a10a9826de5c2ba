#include "flynn/sdk/store.h"

namespace flynn {
namespace {

constexpr std::string_view kStore = "flynn.store/1";
constexpr std::int64_t kPageKeys = 10'000;

KeyValue key_value(const json::object& document) {
  KeyValue kv;
  kv.key = string_or(document, "key");
  if (const auto* value = document.if_contains("value")) kv.value = *value;
  kv.create_revision = int_or(document, "create_revision");
  kv.mod_revision = int_or(document, "mod_revision");
  kv.version = int_or(document, "version");
  kv.lease = string_or(document, "lease");
  return kv;
}

json::object compare(std::string_view key, std::string_view target, std::string_view op, std::int64_t value) {
  return {{"key", key}, {"target", target}, {"op", op}, {"value", value}};
}

}  // namespace

StoreTxn& StoreTxn::if_mod(std::string_view key, std::int64_t revision) {
  compare_.push_back(compare(key, "mod", "=", revision));
  return *this;
}

StoreTxn& StoreTxn::if_create(std::string_view key, std::int64_t revision) {
  compare_.push_back(compare(key, "create", "=", revision));
  return *this;
}

StoreTxn& StoreTxn::if_exists(std::string_view key) {
  compare_.push_back(compare(key, "version", ">", 0));
  return *this;
}

StoreTxn& StoreTxn::put(std::string_view key, json::value value, std::string_view lease) {
  json::object operation{{"key", key}, {"value", std::move(value)}};
  if (!lease.empty()) operation["lease"] = lease;
  then_.push_back(json::object{{"put", std::move(operation)}});
  return *this;
}

StoreTxn& StoreTxn::erase(std::string_view key) {
  then_.push_back(json::object{{"delete", json::object{{"key", key}}}});
  return *this;
}

StoreTxn& StoreTxn::erase_prefix(std::string_view prefix) {
  then_.push_back(json::object{{"delete", json::object{{"prefix", prefix}}}});
  return *this;
}

Result<std::int64_t> StoreTxn::commit(std::chrono::milliseconds timeout) {
  auto reply = door_.call(kStore, "Txn", {{"compare", compare_}, {"then", then_}}, timeout);
  if (!reply) return reply.error();
  if (!bool_or(reply->body, "succeeded")) return Error{Code::conflict, "a compared key has changed since it was read"};
  return int_or(reply->body, "revision");
}

Result<std::optional<KeyValue>> StoreClient::get(std::string_view key) {
  auto reply = door_.call(kStore, "Get", {{"key", key}});
  if (!reply) return reply.error();
  const auto* found = find_object(reply->body, "kv");
  if (found == nullptr) return std::optional<KeyValue>();
  return std::optional<KeyValue>(key_value(*found));
}

Result<RangeResult> StoreClient::range(std::string_view prefix) {
  RangeResult all;
  // Pages after the first go on by key, so they end where a key no longer begins with the prefix.
  json::object request{{"prefix", prefix}, {"limit", kPageKeys}};
  while (true) {
    auto reply = door_.call(kStore, "Range", request);
    if (!reply) return reply.error();
    if (all.revision == 0) all.revision = int_or(reply->body, "revision");
    bool beyond = false;
    if (const auto* kvs = find_array(reply->body, "kvs"))
      for (const auto& item : *kvs) {
        auto kv = key_value(item.as_object());
        beyond = kv.key.compare(0, prefix.size(), prefix) != 0;
        if (beyond) break;
        all.kvs.push_back(std::move(kv));
      }
    if (beyond || !bool_or(reply->body, "more") || all.kvs.empty()) return all;
    request = {{"from", all.kvs.back().key + '\x01'}, {"to", "\U0010FFFF"}, {"limit", kPageKeys}};
  }
}

Result<std::int64_t> StoreClient::put(std::string_view key, json::value value, std::string_view lease) {
  return txn().put(key, std::move(value), lease).commit();
}

Result<std::int64_t> StoreClient::erase(std::string_view key) { return txn().erase(key).commit(); }

Result<std::string> StoreClient::grant_lease(std::chrono::milliseconds ttl) {
  auto reply = door_.call(kStore, "LeaseGrant", {{"ttl_ms", ttl.count()}});
  if (!reply) return reply.error();
  return require_string(reply->body, "lease");
}

Result<void> StoreClient::keep_lease_alive(std::string_view lease) {
  auto reply = door_.call(kStore, "LeaseKeepAlive", {{"lease", lease}});
  if (!reply) return reply.error();
  return {};
}

Result<void> StoreClient::revoke_lease(std::string_view lease) {
  auto reply = door_.call(kStore, "LeaseRevoke", {{"lease", lease}});
  if (!reply) return reply.error();
  return {};
}

Result<LineReader> StoreClient::watch(std::string_view prefix, std::int64_t from_revision) {
  json::object request{{"prefix", prefix}};
  if (from_revision > 0) request["revision"] = from_revision;
  auto reply = door_.call(kStore, "Watch", request);
  if (!reply) return reply.error();
  if (reply->fds.empty()) return Error{Code::internal, "flynn.store/1 Watch answered without a stream"};
  return LineReader(std::move(reply->fds.front()));
}

Result<std::vector<StoreEvent>> parse_watch_events(const json::object& line) {
  if (auto error = stream_error(line)) return *error;
  std::vector<StoreEvent> events;
  if (const auto* array = find_array(line, "events"))
    for (const auto& item : *array) {
      const auto* event = item.if_object();
      const auto* kv = event == nullptr ? nullptr : find_object(*event, "kv");
      if (kv == nullptr) return Error{Code::internal, "an event of a store watch has no kv"};
      events.push_back({string_or(*event, "type") == "delete" ? EventKind::erase : EventKind::put, key_value(*kv)});
    }
  return events;
}

}  // namespace flynn
