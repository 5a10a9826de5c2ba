/// Scale requests: a change of counts that says when it is done.
#include "formations.h"
#include "validation.h"

namespace flynn::controller {
namespace {

/// Types that are not named keep their count (tags: their tags).
json::object merged(json::object base, const json::object& over) {
  for (const auto& entry : over) base[entry.key()] = entry.value();
  return base;
}

/// Ends an earlier request of the same formation that is still pending.
Verdict cancel_pending(Context& context, const std::string& app_id, const std::optional<Kv>& pending, Change& change) {
  if (!pending) return std::nullopt;
  auto earlier = context.store.get(scale_key(app_id, text_of(pending->value, "scale_request")));
  if (!earlier) return earlier.error();
  if (!*earlier || text_of((*earlier)->value, "state") != "pending") return std::nullopt;
  json::object cancelled = (*earlier)->value;
  cancelled["state"] = "cancelled";
  cancelled["updated_at"] = now_text();
  std::string id = text_of(cancelled, "id");
  change.require((*earlier)->key, (*earlier)->mod_revision).put((*earlier)->key, cancelled);
  // The original tells of it under the second name only, which its own client does not listen to.
  change.event({app_id, "scale_request", id, public_form(cancelled)});
  change.event({app_id, "scale_request_cancelation", id, public_form(cancelled)});
  return std::nullopt;
}

Outcome<HttpResponse> put_scale(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  bool has_processes = member(*asked, "new_processes") != nullptr;
  bool has_tags = member(*asked, "new_tags") != nullptr;
  if (!has_processes && !has_tags) return validation("", "scale request must have either processes or tags set");
  auto place = find_formation(context, params[0], params[1]);
  if (!place) return place.error();
  json::object old_processes, old_tags;
  if (place->formation) {
    old_processes = object_of(place->formation->value, "processes");
    old_tags = object_of(place->formation->value, "tags");
  }
  json::object asked_processes = object_of(*asked, "new_processes");
  json::object processes = merged(old_processes, asked_processes);
  json::object tags = merged(old_tags, object_of(*asked, "new_tags"));
  if (Verdict bad = check_formation(*place, processes)) return *bad;
  if (Verdict bad = check_tags("new_tags", object_of(*asked, "new_tags"))) return *bad;

  std::string app_id = text_of(place->app.value, "id");
  std::string release_id = text_of(place->release.value, "id");
  std::string now = now_text();
  json::object scale{{"id", new_uuid()},
                     {"app", app_id},
                     {"release", release_id},
                     {"state", "pending"},
                     {"old_processes", old_processes},
                     {"new_processes", asked_processes},
                     {"old_tags", old_tags},
                     {"new_tags", object_of(*asked, "new_tags")},
                     {"created_at", now},
                     {"updated_at", now}};
  std::string id = text_of(scale, "id");
  std::string lock = note_key("scaling", app_id + "/" + release_id);
  auto pending = context.store.get(lock);
  if (!pending) return pending.error();

  std::string key = formation_key(app_id, release_id);
  Change change;
  change.require(key, place->formation ? place->formation->mod_revision : 0);
  change.require(lock, *pending ? (*pending)->mod_revision : 0);
  if (Verdict bad = cancel_pending(context, app_id, *pending, change)) return *bad;
  change.put(key, new_formation(app_id, release_id, processes, tags, place->formation));
  change.put(scale_key(app_id, id), scale);
  change.put(lock, {{"app", app_id}, {"release", release_id}, {"scale_request", id}});
  change.event({app_id, "scale_request", id, public_form(scale)});
  change.event(scale_event(app_id, release_id, old_processes, processes));
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  context.kick();
  return json_answer(public_form(scale));
}

}  // namespace

void add_scale_routes(RouterTable& table) { table.add("PUT", "/apps/:a/scale/:r", put_scale); }

}  // namespace flynn::controller
