#include "store_contract.h"

namespace flynn::store {
namespace {

Reply must(Result<Reply> reply) {
  if (reply) return std::move(*reply);
  ADD_FAILURE() << reply.error().message;
  return {};
}
Code code_of(const Result<Reply>& reply) { return reply ? Code::ok : reply.error().code; }

std::int64_t put(const CallFunction& call, std::string_view key, json::value value, std::string_view lease = {}) {
  return int_or(must(call("Txn", txn_of({put_op(key, std::move(value), lease)}))).body, "revision");
}
json::object get(const CallFunction& call, std::string_view key) {
  auto reply = must(call("Get", {{"key", key}}));
  const auto* kv = find_object(reply.body, "kv");
  return kv ? *kv : json::object{};
}
json::object compare(std::string_view key, std::string_view target, std::string_view op, json::value value) {
  return {{"key", key}, {"target", target}, {"op", op}, {"value", std::move(value)}};
}
std::vector<std::string> keys_of(const json::object& reply) {
  std::vector<std::string> keys;
  for (const auto& kv : reply.at("kvs").as_array()) keys.push_back(string_or(kv.as_object(), "key"));
  return keys;
}

void counts_revisions_and_versions(const CallFunction& call) {
  const auto first = put(call, "count/a", {{"v", 1}});
  const auto second = put(call, "count/a", {{"v", 2}});

  const auto kv = get(call, "count/a");

  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(int_or(kv, "create_revision"), first);
  EXPECT_EQ(int_or(kv, "mod_revision"), second);
  EXPECT_EQ(int_or(kv, "version"), 2);
  EXPECT_EQ(kv.at("value"), (json::value{{"v", 2}}));
  EXPECT_FALSE(kv.contains("lease"));
  EXPECT_TRUE(get(call, "count/absent").empty());
}

void raises_no_revision_without_a_change(const CallFunction& call) {
  const auto before = put(call, "still/a", 1);

  auto reply = must(call("Txn", txn_of({delete_op("still/absent")})));

  EXPECT_EQ(int_or(reply.body, "revision"), before);
  EXPECT_EQ(int_or(reply.body.at("results").as_array().at(0).as_object(), "deleted", -1), 0);
}

void compares_before_it_writes(const CallFunction& call) {
  const auto made = put(call, "cmp/a", {{"n", 1}, {"m", 2}});
  const auto holds = [&](json::object one) {
    return bool_or(must(call("Txn", {{"compare", json::array{std::move(one)}}})).body, "succeeded");
  };

  EXPECT_TRUE(holds(compare("cmp/a", "mod", "=", made)));
  EXPECT_FALSE(holds(compare("cmp/a", "mod", "<", made)));
  EXPECT_TRUE(holds(compare("cmp/a", "create", ">", made - 1)));
  EXPECT_TRUE(holds(compare("cmp/a", "version", "!=", 2)));
  EXPECT_TRUE(holds(compare("cmp/absent", "mod", "=", 0)));
  EXPECT_TRUE(holds(compare("cmp/absent", "version", "=", 0)));
  EXPECT_TRUE(holds(compare("cmp/a", "value", "=", {{"m", 2}, {"n", 1}})));
  EXPECT_FALSE(holds(compare("cmp/absent", "value", "=", nullptr)));
}

void runs_the_else_branch(const CallFunction& call) {
  put(call, "else/a", 1);

  auto reply =
      must(call("Txn", {{"compare", json::array{compare("else/a", "mod", "=", 0)}},
                        {"then", json::array{put_op("else/b", 1)}},
                        {"else", json::array{put_op("else/c", 1), json::object{{"get", {{"key", "else/a"}}}}}}}));

  EXPECT_FALSE(bool_or(reply.body, "succeeded", true));
  EXPECT_TRUE(get(call, "else/b").empty());
  EXPECT_FALSE(get(call, "else/c").empty());
  EXPECT_EQ(reply.body.at("results").as_array().at(1).at("kv").at("value"), 1);
}

void ranges_in_key_order_by_pages(const CallFunction& call) {
  for (const auto* key : {"range/b", "range/a", "range/c", "range0"}) put(call, key, key);

  auto all = must(call("Range", {{"prefix", "range/"}}));
  auto page = must(call("Range", {{"prefix", "range/"}, {"limit", 2}}));
  auto rest = must(call("Range", {{"from", std::string("range/b") + '\x01'}, {"to", "range0"}}));
  auto last = must(call("Range", {{"prefix", "range/"}, {"limit", 1}, {"descending", true}, {"keys_only", true}}));
  auto count = must(call("Range", {{"prefix", "range/"}, {"count_only", true}}));

  EXPECT_EQ(keys_of(all.body), (std::vector<std::string>{"range/a", "range/b", "range/c"}));
  EXPECT_FALSE(bool_or(all.body, "more", true));
  EXPECT_TRUE(bool_or(page.body, "more"));
  EXPECT_EQ(int_or(page.body, "count"), 3);
  EXPECT_EQ(keys_of(rest.body), (std::vector<std::string>{"range/c"}));
  EXPECT_EQ(keys_of(last.body), (std::vector<std::string>{"range/c"}));
  EXPECT_FALSE(last.body.at("kvs").at(0).as_object().contains("value"));
  EXPECT_EQ(int_or(count.body, "count"), 3);
  EXPECT_TRUE(keys_of(count.body).empty());
}

void refuses_what_is_not_allowed(const CallFunction& call) {
  json::array many;
  for (int i = 0; i < 129; ++i) many.push_back(put_op("bad/" + std::to_string(i), i));
  const std::vector<std::pair<const char*, json::object>> refused = {
      {"Get", {}},
      {"Get", {{"key", ""}}},
      {"Get", {{"key", 7}}},
      {"Get", {{"key", std::string(513, 'k')}}},
      {"Get", {{"key", "line\nbreak"}}},
      {"Range", {}},
      {"Range", {{"prefix", "a"}, {"limit", -1}}},
      {"Txn", {{"then", json::array{json::object{{"steal", json::object{}}}}}}},
      {"Txn", {{"then", "no list"}}},
      {"Txn", txn_of({put_op("bad/a", 1), put_op("bad/a", 2)})},
      {"Txn", txn_of({put_op("bad/a", 1), json::object{{"delete", {{"prefix", "bad/"}}}}})},
      {"Txn", txn_of({put_op("bad/large", json::string(1u << 20, 'x'))})},
      {"Txn", {{"then", many}}},
      {"Txn", {{"compare", json::array{compare("bad/a", "mood", "=", 1)}}}},
      {"Txn", {{"compare", json::array{compare("bad/a", "mod", "~", 1)}}}},
      {"Watch", {{"prefix", "bad/"}, {"revision", 0}}},
      {"LeaseGrant", {{"ttl_ms", 999}}},
      {"LeaseGrant", {{"ttl_ms", 3'600'001}}},
  };
  for (const auto& [method, body] : refused)
    EXPECT_EQ(code_of(call(method, body)), Code::invalid_argument) << method << json::serialize(body).substr(0, 200);
  EXPECT_EQ(code_of(call("Nothing", {})), Code::unimplemented);
  EXPECT_EQ(code_of(call("Txn", txn_of({put_op("bad/a", 1, "00000000000000ff")}))), Code::not_found);
  EXPECT_EQ(int_or(must(call("Range", {{"prefix", "bad/"}, {"count_only", true}})).body, "count"), 0);
}

void watches_in_order(const CallFunction& call) {
  const auto before = put(call, "watch/a", 0);
  auto past = must(call("Watch", {{"prefix", "watch/"}, {"revision", before}}));
  auto from_now = must(call("Watch", {{"key", "watch/a"}}));
  ASSERT_EQ(past.fds.size(), 1u);
  LineReader all(std::move(past.fds[0])), one(std::move(from_now.fds[0]));

  const auto both = int_or(must(call("Txn", txn_of({put_op("watch/a", 1), put_op("watch/b", 1)}))).body, "revision");
  const auto gone =
      int_or(must(call("Txn", txn_of({json::object{{"delete", {{"prefix", "watch/"}}}}}))).body, "revision");

  EXPECT_EQ(int_or(next_events(all), "revision"), before);
  auto line = next_events(all);
  EXPECT_EQ(int_or(line, "revision"), both);
  EXPECT_EQ(line.at("events").as_array().size(), 2u);
  line = next_events(one);
  EXPECT_EQ(int_or(line, "revision"), both);
  EXPECT_EQ(line.at("events").as_array().size(), 1u);
  EXPECT_EQ(line.at("events").at(0).at("kv").at("value"), 1);
  line = next_events(one);
  EXPECT_EQ(int_or(line, "revision"), gone);
  EXPECT_EQ(line.at("events").at(0).at("type"), "delete");
  EXPECT_EQ(line.at("events").at(0).at("kv"), (json::value{{"key", "watch/a"}, {"mod_revision", gone}}));
}

void a_lease_takes_its_keys_along(const CallFunction& call) {
  const auto lease = string_or(must(call("LeaseGrant", {{"ttl_ms", 60'000}})).body, "lease");
  put(call, "lease/a", 1, lease);
  put(call, "lease/b", 1, lease);
  put(call, "lease/b", 2);  // a put without the lease takes the key out of it
  const auto before = int_or(must(call("Status", {})).body, "revision");
  EXPECT_EQ(string_or(get(call, "lease/a"), "lease"), lease);
  EXPECT_EQ(int_or(must(call("LeaseKeepAlive", {{"lease", lease}})).body, "ttl_ms"), 60'000);

  must(call("LeaseRevoke", {{"lease", lease}}));

  EXPECT_TRUE(get(call, "lease/a").empty());
  EXPECT_FALSE(get(call, "lease/b").empty());
  EXPECT_EQ(int_or(must(call("Status", {})).body, "revision"), before + 1);
  EXPECT_EQ(code_of(call("LeaseKeepAlive", {{"lease", lease}})), Code::not_found);
  EXPECT_EQ(code_of(call("Txn", txn_of({put_op("lease/c", 1, lease)}))), Code::not_found);
}

void a_lease_ends_at_its_ttl_and_not_before(const CallFunction& call) {
  const auto granted = std::chrono::steady_clock::now();
  const auto lease = string_or(must(call("LeaseGrant", {{"ttl_ms", 1'000}})).body, "lease");
  put(call, "ttl/a", 1, lease);
  auto watch = must(call("Watch", {{"prefix", "ttl/"}}));
  LineReader reader(std::move(watch.fds.at(0)));

  const auto line = next_events(reader);
  const auto after = std::chrono::steady_clock::now() - granted;

  EXPECT_EQ(line.at("events").at(0).at("type"), "delete");
  EXPECT_GE(after, std::chrono::milliseconds(1'000));
  EXPECT_LE(after, std::chrono::milliseconds(2'000));
}

void refuses_a_watch_from_compacted_history(const CallFunction& call) {
  const auto first = put(call, "compact/a", 1);
  const auto second = put(call, "compact/a", 2);

  must(call("Compact", {{"revision", second}}));

  EXPECT_EQ(code_of(call("Watch", {{"prefix", "compact/"}, {"revision", first}})), Code::out_of_range);
  auto watch = must(call("Watch", {{"prefix", "compact/"}, {"revision", second}}));
  LineReader reader(std::move(watch.fds.at(0)));
  EXPECT_EQ(int_or(next_events(reader), "revision"), second);
  EXPECT_EQ(code_of(call("Compact", {{"revision", second + 1'000'000}})), Code::out_of_range);
  EXPECT_EQ(int_or(must(call("Status", {})).body, "compact_revision"), second);
}

void takes_a_snapshot(const CallFunction& call) {
  const auto revision = put(call, "snap/a", 1);
  auto reply = must(call("Snapshot", {}));
  ASSERT_EQ(reply.fds.size(), 1u);
  EXPECT_GE(int_or(reply.body, "revision"), revision);
  char magic[16] = {};
  EXPECT_EQ(::pread(reply.fds[0].get(), magic, 15, 0), 15);
  EXPECT_STREQ(magic, "SQLite format 3");
}

}  // namespace

const std::vector<ContractTest>& store_contract() {
  static const std::vector<ContractTest> tests = {
      {"CountsRevisionsAndVersions", counts_revisions_and_versions},
      {"RaisesNoRevisionWithoutAChange", raises_no_revision_without_a_change},
      {"ComparesBeforeItWrites", compares_before_it_writes},
      {"RunsTheElseBranch", runs_the_else_branch},
      {"RangesInKeyOrderByPages", ranges_in_key_order_by_pages},
      {"RefusesWhatIsNotAllowed", refuses_what_is_not_allowed},
      {"WatchesInOrder", watches_in_order},
      {"ALeaseTakesItsKeysAlong", a_lease_takes_its_keys_along},
      {"ALeaseEndsAtItsTtlAndNotBefore", a_lease_ends_at_its_ttl_and_not_before},
      {"RefusesAWatchFromCompactedHistory", refuses_a_watch_from_compacted_history},
      {"TakesASnapshot", takes_a_snapshot},
  };
  return tests;
}

}  // namespace flynn::store
