#include "formations.h"

#include "list_stream.h"
#include "system_apps.h"
#include "validation.h"

namespace flynn::controller {
namespace {

Outcome<json::object> expanded(Context& context, const FormationPlace& place) {
  json::object out = formation_of(place.formation->value);
  out["app"] = public_form(place.app.value);
  out["release"] = public_form(place.release.value);
  auto artifacts = read_all(context, "artifacts/", strings_or_empty(place.release.value, "artifacts"));
  if (!artifacts) return artifacts.error();
  json::array list;
  for (const Kv& artifact : *artifacts) list.push_back(public_form(artifact.value));
  out["artifacts"] = std::move(list);
  return out;
}

Outcome<HttpResponse> get_formation(Context& context, const HttpRequest& request, const Params& params) {
  auto place = find_formation(context, params[0], params[1]);
  if (!place) return place.error();
  if (!place->formation) return not_found("formation");
  if (!request.query_flag("expand")) return json_answer(formation_of(place->formation->value));
  auto out = expanded(context, *place);
  if (!out) return out.error();
  return json_answer(*out);
}

Outcome<HttpResponse> put_formation(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto place = find_formation(context, params[0], params[1]);
  if (!place) return place.error();
  json::object processes = object_of(*asked, "processes");
  if (Verdict bad = check_formation(*place, processes)) return *bad;
  if (Verdict bad = check_tags("tags", object_of(*asked, "tags"))) return *bad;
  std::string app_id = text_of(place->app.value, "id");
  std::string release_id = text_of(place->release.value, "id");
  json::object before = place->formation ? object_of(place->formation->value, "processes") : json::object{};
  json::object formation = new_formation(app_id, release_id, processes, object_of(*asked, "tags"), place->formation);
  std::string key = formation_key(app_id, release_id);
  Change change;
  change.require(key, place->formation ? place->formation->mod_revision : 0).put(key, formation);
  change.event(scale_event(app_id, release_id, before, processes));
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(formation_of(formation));
}

Outcome<HttpResponse> delete_formation(Context& context, const HttpRequest&, const Params& params) {
  auto place = find_formation(context, params[0], params[1]);
  if (!place) return place.error();
  if (!place->formation) return not_found("formation");
  Change change;
  change.require(place->formation->key, place->formation->mod_revision).remove(place->formation->key);
  change.event(scale_event(text_of(place->app.value, "id"), text_of(place->release.value, "id"),
                           object_of(place->formation->value, "processes"), {}));
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return empty_answer();
}

Outcome<HttpResponse> list_formations(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto formations = context.store.newest_first("formations/" + text_of(app->value, "id") + "/");
  if (!formations) return formations.error();
  json::array out;
  for (const Kv& kv : *formations) out.push_back(formation_of(kv.value));
  return json_answer(out);
}

bool is_active(const json::object& formation) {
  const json::object processes = object_of(formation, "processes");
  for (const auto& entry : processes) {
    if (number_of(processes, entry.key()) > 0) return true;
  }
  return false;
}

Outcome<json::array> all_expanded(Context& context, bool only_active) {
  auto formations = context.store.newest_first("formations/");
  if (!formations) return formations.error();
  json::array out;
  for (const Kv& kv : *formations) {
    if (only_active && !is_active(kv.value)) continue;
    auto place = find_formation(context, text_of(kv.value, "app_id"), text_of(kv.value, "release_id"));
    if (!place || !place->formation) continue;  // gone since the list was read
    auto one = expanded(context, *place);
    if (!one) return one.error();
    out.push_back(std::move(*one));
  }
  return out;
}

Outcome<HttpResponse> list_all(Context& context, const HttpRequest& request, const Params&) {
  if (wants_stream(request))
    return list_and_watch(context, request, "formations", [&] { return all_expanded(context, false); });
  if (!request.query_flag("active")) return validation("", "list formations with ?active=true, or watch them");
  auto active = all_expanded(context, true);
  if (!active) return active.error();
  return json_answer(*active);
}

}  // namespace

void publish_formation(Context& context, const StoreEvent& event) {
  if (!context.lists.anybody()) return;
  const std::string& key = event.kv.key;
  const std::size_t slash = key.rfind('/');
  const std::string app = key.substr(sizeof "formations/" - 1, slash - (sizeof "formations/" - 1));
  const std::string release = key.substr(slash + 1);
  json::object shown{{"app", json::object{{"id", app}}},
                     {"release", json::object{{"id", release}}},
                     {"processes", json::object{}},
                     {"deleted", true}};
  if (event.kind == EventKind::put) {
    auto place = find_formation(context, app, release);
    if (!place || !place->formation) return;  // its deletion comes next
    auto one = expanded(context, *place);
    if (!one) {
      context.log.warn("formation_not_told", {{"app", app}, {"error", one.error().message}});
      return;
    }
    shown = std::move(*one);
  }
  publish_item(context, "formations", shown);
}

json::object formation_of(const json::object& stored) {
  return {{"app", text_of(stored, "app_id")},
          {"release", text_of(stored, "release_id")},
          {"processes", object_of(stored, "processes")},
          {"tags", object_of(stored, "tags")},
          {"created_at", text_of(stored, "created_at")},
          {"updated_at", text_of(stored, "updated_at")}};
}

json::object new_formation(const std::string& app_id, const std::string& release_id, json::object processes,
                           json::object tags, const std::optional<Kv>& before) {
  std::string now = now_text();
  return {{"app_id", app_id},
          {"release_id", release_id},
          {"processes", std::move(processes)},
          {"tags", std::move(tags)},
          {"created_at", before ? text_of(before->value, "created_at") : now},
          {"updated_at", now}};
}

Outcome<FormationPlace> find_formation(Context& context, const std::string& app, const std::string& release) {
  auto found_app = find_app(context, app);
  if (!found_app) return found_app.error();
  auto found_release = find_release(context, release);
  if (!found_release) return found_release.error();
  auto formation =
      context.store.get(formation_key(text_of(found_app->value, "id"), text_of(found_release->value, "id")));
  if (!formation) return formation.error();
  return FormationPlace{std::move(*found_app), std::move(*found_release), std::move(*formation)};
}

Verdict check_formation(const FormationPlace& place, const json::object& processes) {
  if (Verdict bad = refuse_for_plugin(place.app.value, "it runs once and can't be scaled")) return bad;
  if (Verdict bad = check_counts("processes", processes)) return bad;
  std::string unknown = unknown_types(processes, object_of(place.release.value, "processes"));
  if (!unknown.empty()) {
    return validation("", "requested scale includes process types that do not exist in the release: " + unknown);
  }
  if (array_of(place.release.value, "artifacts").empty()) return validation("", "release is not deployable");
  bool critical = text_of(object_of(place.app.value, "meta"), "flynn-system-critical") == "true";
  std::int64_t total = 0;
  for (const auto& entry : processes) total += number_of(processes, entry.key());
  if (critical && total == 0) return validation("processes", "of a critical system app can't all be zero");
  return std::nullopt;
}

Event scale_event(const std::string& app_id, const std::string& release_id, const json::object& before,
                  const json::object& after) {
  return {app_id, "scale", app_id + ":" + release_id,
          json::object{{"prev_processes", before}, {"processes", after}, {"release", release_id}}};
}

void add_formation_routes(RouterTable& table) {
  table.add("GET", "/apps/:a/formations/:r", get_formation);
  table.add("PUT", "/apps/:a/formations/:r", put_formation);
  table.add("DELETE", "/apps/:a/formations/:r", delete_formation);
  table.add("GET", "/apps/:a/formations", list_formations);
  table.add("GET", "/formations", list_all);
}

}  // namespace flynn::controller
