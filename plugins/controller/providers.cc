#include "providers.h"

#include "validation.h"

namespace flynn::controller {
namespace {

Outcome<HttpResponse> create_provider(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  std::string name = text_of(*asked, "name");
  std::string url = text_of(*asked, "url");
  if (!is_app_name(name))
    return validation("name", "is invalid: use 1 to 100 of a-z, 0-9 and single dashes between them");
  if (!url.starts_with("http://") && !url.starts_with("flynn.")) {
    return validation("url", "must be an interface as flynn.database/1 or begin with http://");
  }
  std::string now = now_text();
  std::string id = canonical_uuid(text_of(*asked, "id")).value_or(new_uuid());
  json::object provider{{"id", id}, {"url", url}, {"name", name}, {"created_at", now}, {"updated_at", now}};
  Change change;
  change.require("providers/" + id, 0).require(note_key("provider-names", name), 0);
  change.put("providers/" + id, provider).put(note_key("provider-names", name), {{"provider", id}});
  change.event({"", "provider", id, provider});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("provider \"" + name + "\" already exists");
  return json_answer(provider);
}

Outcome<HttpResponse> list_providers(Context& context, const HttpRequest&, const Params&) {
  auto providers = context.store.newest_first("providers/");
  if (!providers) return providers.error();
  json::array out;
  for (const Kv& kv : *providers) out.push_back(public_form(kv.value));
  return json_answer(out);
}

Outcome<HttpResponse> get_provider(Context& context, const HttpRequest&, const Params& params) {
  auto provider = find_provider(context, params[0]);
  if (!provider) return provider.error();
  return json_answer(public_form(provider->value));
}

}  // namespace

Outcome<Kv> find_provider(Context& context, const std::string& reference) {
  std::string id = canonical_uuid(reference).value_or("");
  if (id.empty()) {
    if (!is_app_name(reference)) return not_found("provider " + reference);
    auto note = context.store.get(note_key("provider-names", reference));
    if (!note) return note.error();
    if (!*note) return not_found("provider " + reference);
    id = text_of((*note)->value, "provider");
  }
  auto provider = context.store.get("providers/" + id);
  if (!provider) return provider.error();
  if (!*provider) return not_found("provider " + reference);
  return std::move(**provider);
}

void add_provider_routes(RouterTable& table) {
  table.add("POST", "/providers", create_provider);
  table.add("GET", "/providers", list_providers);
  table.add("GET", "/providers/:p", get_provider);
}

}  // namespace flynn::controller
