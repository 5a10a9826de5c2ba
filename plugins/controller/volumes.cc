/// Volumes as the host knows them.
#include "context.h"
#include "list_stream.h"

namespace flynn::controller {
namespace {

json::object volume_of(const json::object& raw) {
  json::object out{{"id", text_of(raw, "id")}, {"host_id", text_of(raw, "host_id")}, {"type", "data"},
                   {"state", "created"},       {"app", text_of(raw, "app_id")},      {"path", text_of(raw, "path")},
                   {"meta", json::object{}}};
  if (std::string job = text_of(raw, "job_id"); !job.empty()) out["job"] = job;
  if (std::string created = text_of(raw, "created_at"); !created.empty()) out["created_at"] = created;
  return out;
}

Outcome<json::array> volumes_of(Context& context, const std::string& app_id) {
  auto reply = context.door.call("flynn.host/1", "Volumes", {});
  if (!reply) return unknown_error("list volumes: " + reply.error().message, reply.error().code == Code::unavailable);
  json::array out;
  for (const json::value& raw : array_of(reply->body, "volumes")) {
    if (!raw.is_object()) continue;
    if (app_id.empty() || text_of(raw.get_object(), "app_id") == app_id) out.push_back(volume_of(raw.get_object()));
  }
  return out;
}

Outcome<HttpResponse> list_volumes(Context& context, const HttpRequest& request, const Params&) {
  if (wants_stream(request))
    return list_and_watch(context, request, "volumes", [&] { return volumes_of(context, ""); });
  auto volumes = volumes_of(context, "");
  if (!volumes) return volumes.error();
  return json_answer(*volumes);
}

Outcome<HttpResponse> list_app_volumes(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto volumes = volumes_of(context, text_of(app->value, "id"));
  if (!volumes) return volumes.error();
  return json_answer(*volumes);
}

Outcome<json::object> find_volume(Context& context, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto volumes = volumes_of(context, text_of(app->value, "id"));
  if (!volumes) return volumes.error();
  for (const json::value& volume : *volumes) {
    if (text_of(volume.get_object(), "id") == params[1]) return volume.get_object();
  }
  return not_found("volume " + params[1]);
}

Outcome<HttpResponse> get_volume(Context& context, const HttpRequest&, const Params& params) {
  auto volume = find_volume(context, params);
  if (!volume) return volume.error();
  return json_answer(*volume);
}

/// The original's scheduler reported volumes by this. Here the host that has one knows it: the answer is what it says.
Outcome<HttpResponse> put_volume(Context& context, const HttpRequest&, const Params& params) {
  auto volumes = volumes_of(context, "");
  if (!volumes) return volumes.error();
  for (const json::value& volume : *volumes) {
    if (text_of(volume.get_object(), "id") == params[0]) return json_answer(volume);
  }
  return not_found("volume " + params[0]);
}

Outcome<HttpResponse> decommission(Context& context, const HttpRequest&, const Params& params) {
  auto volume = find_volume(context, params);
  if (!volume) return volume.error();
  auto done = context.door.call("flynn.host/1", "VolumeDestroy", {{"id", params[1]}});
  if (!done && done.error().code == Code::failed_precondition)
    return validation("", "the volume is in use: " + done.error().message);
  if (!done) return unknown_error("destroy the volume: " + done.error().message);
  (*volume)["state"] = "destroyed";
  (*volume)["decommissioned_at"] = now_text();
  Change change;
  change.event({text_of(*volume, "app"), "volume", params[1], *volume});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(*volume);
}

}  // namespace

void add_volume_routes(RouterTable& table) {
  table.add("GET", "/volumes", list_volumes);
  table.add("GET", "/apps/:a/volumes", list_app_volumes);
  table.add("GET", "/apps/:a/volumes/:v", get_volume);
  table.add("PUT", "/apps/:a/volumes/:v/decommission", decommission);
  table.add("PUT", "/volumes/:v", put_volume);
}

}  // namespace flynn::controller
