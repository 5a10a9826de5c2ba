/// SSH public keys of those who may push.
#include "context.h"
#include "ssh_key.h"

namespace flynn::controller {
namespace {

Outcome<HttpResponse> create_key(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto key = parse_ssh_key(text_of(*asked, "key"));
  if (!key) return key.error();
  json::object stored{{"id", key->fingerprint},
                      {"fingerprint", key->fingerprint},
                      {"key", key->key},
                      {"comment", key->comment},
                      {"created_at", now_text()}};
  Change change;
  change.put("keys/" + key->fingerprint, stored);
  change.event({"", "key", key->fingerprint, stored});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(stored);
}

Outcome<HttpResponse> list_keys(Context& context, const HttpRequest&, const Params&) {
  auto keys = context.store.newest_first("keys/");
  if (!keys) return keys.error();
  json::array out;
  for (const Kv& kv : *keys) out.push_back(public_form(kv.value));
  return json_answer(out);
}

Outcome<Kv> find_key(Context& context, std::string fingerprint) {
  std::erase(fingerprint, ':');
  bool hex = fingerprint.size() == 32 && fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex) return not_found("key");
  auto key = context.store.get("keys/" + fingerprint);
  if (!key) return key.error();
  if (!*key) return not_found("key");
  return std::move(**key);
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
  change.require(key->key, key->mod_revision).remove(key->key);
  change.event({"", "key_deletion", text_of(key->value, "fingerprint"), public_form(key->value)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return empty_answer();
}

}  // namespace

void add_key_routes(RouterTable& table) {
  table.add("POST", "/keys", create_key);
  table.add("GET", "/keys", list_keys);
  table.add("GET", "/keys/:f", get_key);
  table.add("DELETE", "/keys/:f", delete_key);
}

}  // namespace flynn::controller
