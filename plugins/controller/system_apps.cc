#include "system_apps.h"

#include <algorithm>

#include "apps.h"
#include "node_plugins.h"
#include "validation.h"

namespace flynn::controller {
namespace {

/// The same for every controller that ever meets this slot.
std::string id_of_slot(const std::string& slot) { return uuid_of_digest(sha256_hex("system app " + slot)); }

/// Slots may have capitals and '_'; names of apps may not.
std::string name_of_slot(const std::string& slot) {
  std::string name(slot);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return is_app_name(name) ? name : "plugin-" + sha256_hex(slot).substr(0, 12);
}

/// A database appliance's server is an app with the appliance's name (`flynn -a postgres scale postgres=1`): the plugin
/// leaves it that name.
bool runs_an_appliance(Context& context, const std::string& slot) {
  auto plugin = node_plugin(context, slot);
  if (!plugin) return false;
  const auto& provided = array_of(*plugin, "provides");
  return std::any_of(provided.begin(), provided.end(), [](const json::value& one) {
    return one.is_string() && std::string_view(one.get_string()).substr(0, 15) == "flynn.database/";
  });
}

json::object new_system_app(const std::string& slot, const std::string& name) {
  std::string now = now_text();
  return {{"id", id_of_slot(slot)},
          {"name", name},
          {"meta", {{"flynn-system-app", "true"}, {"flynn-plugin", slot}}},
          {"strategy", "all-at-once"},
          {"deploy_timeout", 120},
          {"_plugin", slot},
          {"created_at", now},
          {"updated_at", now}};
}

/// By the id that we give; or, of this very plugin, the app that a bootstrap made before plugins were apps.
Outcome<std::optional<Kv>> known_system_app(Context& context, const std::string& slot) {
  auto made = context.store.get(app_key(id_of_slot(slot)));
  if (!made || *made || slot != context.settings.slot) return made;
  auto old = find_app(context, name_of_slot(slot));
  if (!old && old.error().status == 404) return std::optional<Kv>{};
  if (!old) return old.error();
  if (plugin_slot(old->value) == slot) return std::optional<Kv>(std::move(*old));
  json::object meta = object_of(old->value, "meta");
  if (text_of(meta, "flynn-system-app") != "true") return std::optional<Kv>{};
  old->value["_plugin"] = slot;
  meta["flynn-plugin"] = slot;
  old->value["meta"] = std::move(meta);
  if (Verdict bad = context.store.must_commit(Change().require(old->key, old->mod_revision).put(old->key, old->value)))
    return *bad;
  return context.store.get(old->key);
}

std::string job_state(const std::string& state) {
  if (state == "up" || state == "unhealthy") return "up";
  if (state == "starting") return "starting";
  return state == "waiting" ? "pending" : "down";
}

}  // namespace

Verdict refuse_for_plugin(const json::object& app, const std::string& why) {
  if (plugin_slot(app).empty()) return std::nullopt;
  return validation("", text_of(app, "name") + " is a plugin of this node: " + why);
}

Verdict refuse_deletion_of_plugin(Context& context, const json::object& app) {
  if (plugin_slot(app).empty()) return std::nullopt;
  auto plugin = node_plugin(context, plugin_slot(app));
  if (!plugin && plugin.error().status == 404) return std::nullopt;
  if (!plugin) return plugin.error();
  return refuse_for_plugin(app, "it can't be deleted while the node's configuration file names it");
}

Outcome<Kv> system_app(Context& context, const std::string& slot) {
  auto known = known_system_app(context, slot);
  if (!known) return known.error();
  if (*known) return std::move(**known);
  const std::string name = name_of_slot(slot), longer = "flynn-" + name;
  const bool taken = runs_an_appliance(context, slot);
  Verdict bad = store_new_app(context, new_system_app(slot, taken ? longer : name));
  if (bad && bad->status == 409) {
    known = known_system_app(context, slot);  // made by another thread just now?
    if (known && *known) return std::move(**known);
    // A user's app has the name already, and keeps it.
    bad = store_new_app(context, new_system_app(slot, longer));
  }
  if (bad) return *bad;
  return find_app(context, id_of_slot(slot));
}

Outcome<json::array> jobs_of_plugin(Context& context, const json::object& app) {
  auto plugin = node_plugin(context, plugin_slot(app));
  if (!plugin && plugin.error().status == 404) return json::array{};
  if (!plugin) return plugin.error();
  std::string node = text_of(*plugin, "node");
  std::string generation = std::to_string(number_of(*plugin, "generation"));
  std::string started = text_of(*plugin, "started_at", text_of(app, "created_at"));
  std::string uuid = uuid_of_digest(sha256_hex(text_of(app, "id") + generation + started));
  json::object job{{"id", node + "-" + uuid},
                   {"uuid", uuid},
                   {"host_id", node},
                   {"app", text_of(app, "id")},
                   {"release", text_of(app, "release")},
                   {"type", "plugin"},
                   {"state", job_state(text_of(*plugin, "state"))},
                   {"args", json::array{text_of(*plugin, "name"), text_of(*plugin, "version")}},
                   {"meta", {{"flynn-plugin", plugin_slot(app)}, {"generation", generation}}},
                   {"created_at", started},
                   {"updated_at", started}};
  if (std::string cage = text_of(*plugin, "cage"); !cage.empty()) job["meta"].as_object()["cage"] = cage;
  if (std::string reason = text_of(*plugin, "reason"); !reason.empty()) job["host_error"] = reason;
  return json::array{std::move(job)};
}

Outcome<HttpResponse> log_of_plugin(Context& context, const json::object& app, std::int64_t lines) {
  auto jobs = jobs_of_plugin(context, app);
  if (!jobs) return jobs.error();
  json::object ask{{"slot", plugin_slot(app)}};
  if (lines >= 0) ask["lines"] = lines;
  auto log = ask_node(context, "Log", ask);
  if (!log) return log.error();
  json::object job = jobs->empty() ? json::object{} : jobs->front().as_object();
  std::string body;
  for (const json::value& line : array_of(*log, "lines")) {
    std::string level = text_of(line.as_object(), "level");
    json::object message{{"host_id", text_of(job, "host_id")},
                         {"job_id", text_of(job, "id")},
                         {"msg", text_of(line.as_object(), "text")},
                         {"process_type", "plugin"},
                         {"source", "app"},
                         {"stream", level == "warn" || level == "error" ? "stderr" : "stdout"},
                         {"timestamp", text_of(line.as_object(), "at")}};
    body += json::serialize(message) + "\n";
  }
  return HttpResponse{200, "text/plain", std::move(body), {}, nullptr};
}

}  // namespace flynn::controller
