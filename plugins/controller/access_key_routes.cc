/// /access-keys and /access-log: who may use the API, and who did. For administrators (access_rules.cc).
#include <algorithm>
#include <charconv>

#include "context.h"
#include "validation.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kOverlapMax = 30LL * 24 * 3600;  // seconds that a rotated key may live on
constexpr std::int64_t kLifeMax = 10LL * 365 * 24 * 3600;
constexpr std::int64_t kLogPageMax = 10'000;
constexpr std::int64_t kLogPage = 100;

std::string name_note(std::string_view name) { return note_key("access-key-names", name); }

/// By id or name.
Outcome<Kv> find_key(Context& context, const std::string& reference) {
  std::string id = canonical_uuid(reference).value_or("");
  if (id.empty() && is_app_name(reference)) {
    auto name = context.store.get(name_note(reference));
    if (!name) return name.error();
    if (*name) id = text_of((*name)->value, "key");
  }
  if (id.empty()) return not_found("access key " + reference);
  auto key = context.store.get(access_key_key(id));
  if (!key) return key.error();
  if (!*key) return not_found("access key " + reference);
  return std::move(**key);
}

/// The one answer that holds the key itself.
HttpResponse with_secret(const json::object& stored, const std::string& key) {
  json::object out = public_form(stored);
  out["key"] = key;
  return json_answer(out);
}

Outcome<HttpResponse> create_key(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  const std::string name = text_of(*asked, "name");
  if (!is_app_name(name) || name == "root")
    return validation("name", "is invalid: use 1 to 100 of a-z, 0-9 and single dashes between them, and not root");
  const std::int64_t life = number_of(*asked, "expires_in");
  if (life < 0 || life > kLifeMax) return validation("expires_in", "must be 0 (never) to 315360000 seconds");
  const std::string id = new_uuid();
  const NewSecret secret = make_secret(id);
  const std::string now = now_text();
  json::object key{{"id", id}, {"name", name}, {"read_only", flag_of(*asked, "read_only")}};
  if (std::string app = text_of(*asked, "app"); !app.empty()) {
    auto found = find_app(context, app);
    if (!found) return found.error().status == 404 ? validation("app", "names no app") : found.error();
    key["app"] = text_of(found->value, "id");
    key["app_name"] = text_of(found->value, "name");
  }
  if (life > 0) key["expires_at"] = format_time(now_ms() + life * 1000);
  key["created_at"] = key["updated_at"] = now;
  key["_hash"] = secret.hash;
  Change change;
  change.require(name_note(name), 0).put(name_note(name), {{"key", id}}).put(access_key_key(id), key);
  change.event({"", "access_key", id, public_form(key)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("access key \"" + name + "\" already exists");
  return with_secret(key, secret.key);
}

Outcome<HttpResponse> list_keys(Context& context, const HttpRequest&, const Params&) {
  auto keys = context.store.newest_first("access-keys/");
  if (!keys) return keys.error();
  json::array out;
  for (const Kv& kv : *keys) out.push_back(public_form(kv.value));
  return json_answer(out);
}

Outcome<HttpResponse> get_key(Context& context, const HttpRequest&, const Params& params) {
  auto key = find_key(context, params[0]);
  if (!key) return key.error();
  return json_answer(public_form(key->value));
}

Outcome<HttpResponse> delete_key(Context& context, const HttpRequest&, const Params& params) {
  auto key = find_key(context, params[0]);
  if (!key) return key.error();
  Change change;
  change.require(key->key, key->mod_revision).remove(key->key).remove(name_note(text_of(key->value, "name")));
  change.event({"", "access_key_deletion", text_of(key->value, "id"), public_form(key->value)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(key->value));
}

Outcome<HttpResponse> rotate_root(Context& context) {
  auto key = context.root_keys.rotate();
  if (!key && key.error().code == Code::failed_precondition) return validation("", key.error().message);
  if (!key) return unknown_error("write the new key: " + key.error().message);
  context.log.info("root_key_rotated", {});
  return json_answer(json::object{{"id", "root"}, {"name", "root"}, {"read_only", false}, {"key", *key}});
}

Outcome<HttpResponse> rotate_key(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  const std::int64_t overlap = number_of(*asked, "overlap");
  if (overlap < 0 || overlap > kOverlapMax) return validation("overlap", "must be 0 to 2592000 seconds");
  if (params[0] == "root") {
    if (overlap > 0) return validation("overlap", "of the root key must be 0: the old one ends at once");
    return rotate_root(context);
  }
  auto key = find_key(context, params[0]);
  if (!key) return key.error();
  const NewSecret secret = make_secret(text_of(key->value, "id"));
  json::object changed = key->value;
  changed["_previous_hash"] = overlap > 0 ? changed["_hash"] : json::value("");
  changed["previous_until"] = format_time(now_ms() + overlap * 1000);
  changed["_hash"] = secret.hash;
  changed["updated_at"] = now_text();
  Change change;
  change.require(key->key, key->mod_revision).put(key->key, changed);
  change.event({"", "access_key", text_of(changed, "id"), public_form(changed)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return with_secret(changed, secret.key);
}

Outcome<HttpResponse> access_log(Context& context, const HttpRequest& request, const Params&) {
  std::int64_t count = kLogPage;
  if (const std::string* text = request.query_value("count")) {
    auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), count);
    if (failed != std::errc() || end != text->data() + text->size() || count < 0 || count > kLogPageMax)
      return validation("count", "must be 0 to 10000");
  }
  std::string key;
  if (const std::string* reference = request.query_value("key"); reference != nullptr && !reference->empty()) {
    key = *reference;
    auto found = find_key(context, *reference);
    if (found) key = text_of(found->value, "id");  // else one that was revoked, or root
  }
  auto lines = context.audit.newest(static_cast<std::size_t>(count), key);
  if (!lines) return unknown_error("read the access log: " + lines.error().message);
  auto checked = context.audit.verify();
  json::object out{{"lines", std::move(*lines)}, {"chain", checked ? "whole" : "broken"}};
  if (checked) out["checked"] = *checked;
  if (!checked) out["error"] = checked.error().message;
  return json_answer(out);
}

}  // namespace

void add_access_key_routes(RouterTable& table) {
  table.add("POST", "/access-keys", create_key);
  table.add("GET", "/access-keys", list_keys);
  table.add("GET", "/access-keys/:k", get_key);
  table.add("DELETE", "/access-keys/:k", delete_key);
  table.add("POST", "/access-keys/:k/rotate", rotate_key);
  table.add("GET", "/access-log", access_log);
}

}  // namespace flynn::controller
