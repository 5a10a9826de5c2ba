/// Ends of releases: on request, with their app, and of old ones by number.
#include <algorithm>
#include <set>

#include "deletions.h"
#include "releases.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kInactiveReleases = 10;

/// Layers that another artifact names or that belong to a stack are kept.
Outcome<std::set<std::string>> layers_in_use(Context& context, const std::string& but_artifact) {
  std::set<std::string> used;
  auto artifacts = context.store.range("artifacts/");
  if (!artifacts) return artifacts.error();
  for (const Kv& artifact : *artifacts) {
    if (text_of(artifact.value, "id") == but_artifact) continue;
    for (const json::value& rootfs : array_of(object_of(artifact.value, "manifest"), "rootfs")) {
      for (const json::value& layer : array_of(rootfs.as_object(), "layers"))
        used.insert(text_of(layer.as_object(), "id"));
    }
  }
  auto config = context.store.get("cluster/config");
  if (!config) return config.error();
  if (!*config) return used;
  for (const auto& stack : object_of((*config)->value, "stacks")) {
    if (!stack.value().is_array()) continue;
    for (const json::value& layer : stack.value().get_array()) used.insert(text_of(layer.as_object(), "id"));
  }
  return used;
}

Verdict delete_artifact(Context& context, const std::string& id, json::array& files) {
  auto artifact = context.store.get("artifacts/" + id);
  if (!artifact) return artifact.error();
  if (!*artifact) return std::nullopt;
  const json::object& value = (*artifact)->value;
  auto used = layers_in_use(context, id);
  if (!used) return used.error();
  Change change;
  change.require((*artifact)->key, (*artifact)->mod_revision).remove((*artifact)->key);
  change.remove(note_key("artifact-uris", sha256_hex(text_of(value, "type") + "\n" + text_of(value, "uri"))));
  if (Verdict bad = context.store.must_commit(change)) return bad;
  for (const json::value& rootfs : array_of(object_of(value, "manifest"), "rootfs")) {
    for (const json::value& layer : array_of(rootfs.as_object(), "layers")) {
      std::string layer_id = text_of(layer.as_object(), "id");
      if (used->contains(layer_id)) continue;
      std::string name = "layers/" + layer_id + ".squashfs";
      auto deleted = context.door.call("flynn.blobstore/1", "Delete", {{"name", name}});
      if (deleted) files.push_back(json::value(name));
      // A file that stays costs space only; the release is gone for everyone who asks.
      if (!deleted && deleted.error().code != Code::not_found) {
        context.log.warn("layer_not_deleted", {{"name", name}, {"error", deleted.error().message}});
      }
    }
  }
  return std::nullopt;
}

json::object release_event(const std::string& app_id, const std::string& id, const DeletedRelease& deleted,
                           const std::string& error) {
  json::object report{
      {"app", app_id}, {"release", id}, {"remaining_apps", deleted.remaining_apps}, {"deleted_files", deleted.files}};
  return {{"release_deletion", std::move(report)}, {"error", error}};
}

/// The end of what was asked for: its note goes, and whoever waits is told.
Verdict tell_end(Context& context, const std::string& app_id, const std::string& id, const DeletedRelease& deleted,
                 const std::string& error) {
  Change change;
  change.remove(release_deletion_key(app_id, id));
  change.event({app_id, "release_deletion", id, release_event(app_id, id, deleted, error)});
  return context.store.must_commit(change);
}

}  // namespace

Outcome<DeletedRelease> delete_release_now(Context& context, const std::string& app_id, const Kv& release,
                                           Asked asked) {
  std::string id = text_of(release.value, "id");
  DeletedRelease out;
  auto releases = context.store.range("releases/");
  if (!releases) return releases.error();
  std::set<std::string> used;
  for (const Kv& other : *releases) {
    if (other.key == release.key) continue;
    for (std::string& artifact : artifact_ids_of(other.value)) used.insert(std::move(artifact));
  }
  for (const std::string& artifact : artifact_ids_of(release.value)) {
    if (used.contains(artifact)) continue;
    if (Verdict bad = delete_artifact(context, artifact, out.files)) return *bad;
  }
  Change change;
  change.remove(release.key).remove("app-releases/" + app_id + "/" + id).remove(formation_key(app_id, id));
  if (asked == Asked::by_itself) {
    change.remove(release_deletion_key(app_id, id));
    change.event({app_id, "release_deletion", id, release_event(app_id, id, out, "")});
  }
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return out;
}

Outcome<HttpResponse> delete_release(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto release = find_release(context, params[1]);
  if (!release) return release.error();
  std::string app_id = text_of(app->value, "id");
  std::string id = text_of(release->value, "id");
  if (text_of(release->value, "app_id") != app_id) return not_found("release " + id);
  if (text_of(app->value, "release") == id) return validation("", "cannot delete current app release");
  Change change;
  change.require(release->key, release->mod_revision);
  change.put(release_deletion_key(app_id, id), {{"kind", "release"}, {"app", app_id}, {"release", id}});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return empty_answer();
}

Verdict end_release(Context& context, const std::string& app_id, const std::string& id) {
  auto app = context.store.get(app_key(app_id));
  if (!app) return app.error();
  if (!*app) return context.store.must_commit(Change().remove(release_deletion_key(app_id, id)));
  // Since it was asked for it may have been deployed.
  if (text_of((*app)->value, "release") == id)
    return tell_end(context, app_id, id, {}, "cannot delete current app release");
  auto release = context.store.get(release_key(id));
  if (!release) return release.error();
  if (!*release) return tell_end(context, app_id, id, {}, "");
  auto done = delete_release_now(context, app_id, **release, Asked::by_itself);
  return done ? Verdict() : tell_end(context, app_id, id, {}, done.error().message);
}

Outcome<json::array> collect_garbage_of(Context& context, const std::string& app_id) {
  auto app = find_app(context, app_id);
  if (!app) return app.error();
  std::int64_t keep = kInactiveReleases;
  try {
    keep = std::stoll(text_of(object_of(app->value, "meta"), "gc.max_inactive_slug_releases", "10"));
  } catch (const std::exception&) {
    // Not a number: the default.
  }
  auto releases = releases_of_app(context, app_id);
  if (!releases) return releases.error();
  auto formations = context.store.range("formations/" + app_id + "/");
  if (!formations) return formations.error();
  std::set<std::string> in_use{text_of(app->value, "release")};
  for (const Kv& formation : *formations) in_use.insert(text_of(formation.value, "release_id"));
  json::array deleted;
  for (const Kv& release : *releases) {
    std::string id = text_of(release.value, "id");
    if (in_use.contains(id) || text_of(object_of(release.value, "meta"), "git") != "true") continue;
    if (--keep >= 0) continue;
    auto done = delete_release_now(context, app_id, release, Asked::with_others);
    if (!done) return done.error();
    deleted.push_back(json::value(id));
  }
  return deleted;
}

Outcome<HttpResponse> collect_garbage(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  std::string app_id = text_of(app->value, "id");
  Change change;
  change.require(app->key, app->mod_revision);
  change.put(garbage_key(app_id), {{"kind", "garbage"}, {"app", app_id}});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return empty_answer();
}

Verdict end_garbage(Context& context, const std::string& app_id) {
  auto deleted = collect_garbage_of(context, app_id);
  json::object report{{"app_id", app_id}, {"deleted_releases", deleted ? *deleted : json::array{}}};
  json::object data{{"app_garbage_collection", std::move(report)}, {"error", deleted ? "" : deleted.error().message}};
  Change change;
  change.remove(garbage_key(app_id)).event({app_id, "app_garbage_collection", app_id, std::move(data)});
  return context.store.must_commit(change);
}

}  // namespace flynn::controller
