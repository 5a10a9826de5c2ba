#include "system_releases.h"

#include "cluster_domain.h"
#include "node_plugins.h"
#include "plugin_env.h"
#include "releases.h"
#include "system_apps.h"

namespace flynn::controller {
namespace {

/// Each swap of a plugin in development makes one.
constexpr std::size_t kReleasesMax = 100;
constexpr std::string_view kFileScheme = "file://";
/// Where clients of the original read the cluster's domain: in the env of our own app. It is shown, and sets nothing.
constexpr std::string_view kDomainVariable = "DEFAULT_ROUTE_DOMAIN";

struct Version {
  json::object named;  // {"path": …} or {"digest": …}, as flynn.node/1 wants it
  json::object schema;
};

json::object marker(const std::string& slot, const json::object& version) {
  return {{"slot", slot}, {"version", text_of(version, "version")}, {"digest", text_of(version, "digest")}};
}

/// The plugin's file that the release's artifact names; empty when it names none.
Outcome<std::string> file_of(const std::vector<Kv>& artifacts) {
  if (artifacts.empty()) return std::string();
  std::string uri = text_of(artifacts.front().value, "uri");
  if (artifacts.size() > 1 || !uri.starts_with(kFileScheme))
    return validation("artifacts", "of a plugin must be one artifact whose uri is file:///PATH of its .so");
  return uri.substr(kFileScheme.size());
}

/// Which version a new release means: its artifact's file, else the digest that it was copied with, else what runs.
Outcome<Version> version_of(Context& context, const json::object& app, const json::object& asked,
                            const std::vector<Kv>& artifacts, const json::object& plugin) {
  auto file = file_of(artifacts);
  if (!file) return file.error();
  std::string digest = text_of(object_of(asked, "plugin"), "digest", text_of(plugin, "digest"));
  if (!file->empty()) {
    auto current = find_release(context, text_of(app, "release"));
    // Copied from the current release, as env set does: its version, whatever the file has become since.
    if (!current || artifact_ids_of(current->value) != artifact_ids_of(asked))
      return Version{{{"path", *file}}, object_of(plugin, "config_schema")};
  }
  if (digest.empty()) return validation("", text_of(plugin, "slot") + " does not run: start it first");
  return Version{{{"digest", digest}}, object_of(plugin, "config_schema")};
}

json::object with(json::object base, const json::object& more) {
  for (const auto& entry : more) base[entry.key()] = entry.value();
  return base;
}

/// The schema of that version, which may not be the one in force.
Outcome<json::object> judge(Context& context, const std::string& slot, const json::object& named) {
  return ask_node(context, "Judge", with({{"slot", slot}}, named));
}

/// Of a release's env, what is the plugin's configuration.
json::object settings_in(const Context& context, const std::string& slot, const json::object& release) {
  json::object env = object_of(release, "env");
  if (slot == context.settings.slot) env.erase(kDomainVariable);
  return env;
}

/// The env that shows this configuration.
Outcome<json::object> shown_env(Context& context, const std::string& slot, const json::object& config) {
  json::object env = env_of_config(config);
  if (slot != context.settings.slot) return env;
  auto domains = cluster_domains(context);
  if (!domains) return domains.error();
  env[kDomainVariable] = domains->current;
  return env;
}

Verdict refuse_another_domain(const json::object& release, const json::object& shown) {
  if (text_of(object_of(release, "env"), kDomainVariable, text_of(shown, kDomainVariable)) ==
      text_of(shown, kDomainVariable))
    return std::nullopt;
  return validation(std::string(kDomainVariable), "is changed by 'flynn cluster migrate-domain' alone");
}

bool is_of_version(const json::object& release, const json::object& plugin) {
  return text_of(object_of(release, "plugin"), "digest") == text_of(plugin, "digest");
}

/// True when the release says all that runs: `env` is what it must show.
bool shows(const json::object& release, const json::object& plugin, const json::object& env) {
  return is_of_version(release, plugin) &&
         env_without_secrets(object_of(plugin, "config_schema"), object_of(release, "env")) == env;
}

json::object release_of(const Kv& app, const json::object& plugin, const json::object& env) {
  json::object mark = marker(plugin_slot(app.value), plugin);
  return {{"id", new_uuid()},
          {"app_id", text_of(app.value, "id")},
          {"artifacts", json::array{}},
          {"env", env},
          {"meta", {{"flynn-plugin-version", text_of(plugin, "version")}}},
          {"processes", json::object{}},
          {"plugin", std::move(mark)},
          {"created_at", now_text()}};
}

Verdict forget_oldest(Context& context, const std::string& app_id, const std::vector<Kv>& releases) {
  for (std::size_t i = kReleasesMax; i < releases.size(); ++i) {
    auto deleted = delete_release_now(context, app_id, releases[i], Asked::with_others);
    if (!deleted) return deleted.error();
  }
  return std::nullopt;
}

}  // namespace

Verdict complete_plugin_release(Context& context, const json::object& app, const json::object& asked,
                                const std::vector<Kv>& artifacts, json::object& release) {
  std::string slot = plugin_slot(app);
  if (!object_of(release, "processes").empty())
    return refuse_for_plugin(app, "it has no process types, so its releases can't have any");
  auto plugin = node_plugin(context, slot);
  if (!plugin) return plugin.error();
  auto version = version_of(context, app, asked, artifacts, *plugin);
  if (!version) return version.error();
  auto file = judge(context, slot, version->named);
  if (!file) return file.error();
  json::object schema = object_of(*file, "config_schema");
  const json::object settings = settings_in(context, slot, release);
  auto config = config_of_env(schema, settings);
  if (!config) return config.error();
  auto judged = ask_node(context, "Judge", with({{"slot", slot}, {"config", *config}}, version->named));
  if (!judged) return judged.error();
  auto shown = shown_env(context, slot, object_of(*judged, "config"));
  if (!shown) return shown.error();
  if (Verdict bad = refuse_another_domain(release, *shown); bad && slot == context.settings.slot) return bad;
  release["env"] = with(std::move(*shown), secrets_of_env(schema, settings));
  release["plugin"] = marker(slot, *judged);
  json::object meta = object_of(release, "meta");
  meta["flynn-plugin-version"] = text_of(*judged, "version");
  release["meta"] = std::move(meta);
  if (version->named.contains("path")) release["_plugin_file"] = text_of(version->named, "path");
  return std::nullopt;
}

bool is_in_force(const Context& context, const json::object& release, const json::object& plugin) {
  if (!is_of_version(release, plugin)) return false;
  json::object schema = object_of(plugin, "config_schema");
  return env_without_secrets(schema, settings_in(context, text_of(plugin, "slot"), release)) ==
         env_of_config(object_of(plugin, "config"));
}

Outcome<PluginOrder> order_of(Context& context, const json::object& release, const json::object& plugin) {
  std::string slot = text_of(plugin, "slot");
  json::object mark = object_of(release, "plugin");
  if (text_of(mark, "slot") != slot) return validation("", "release is none of the plugin " + slot);
  bool same_version = text_of(mark, "digest") == text_of(plugin, "digest");
  json::object schema = object_of(plugin, "config_schema");
  json::object named{{"digest", text_of(mark, "digest")}};
  if (!same_version) {
    auto file = judge(context, slot, named);
    std::string path = text_of(release, "_plugin_file");
    if (!file && !path.empty()) {
      named = {{"path", path}};
      file = judge(context, slot, named);
      if (file && text_of(*file, "digest") != text_of(mark, "digest"))
        return validation("", path + " is not the file any more that the release was made of");
    }
    if (!file) return file.error();
    schema = object_of(*file, "config_schema");
  }
  const json::object settings = settings_in(context, slot, release);
  auto config = config_of_env(schema, settings);
  if (!config) return config.error();
  json::object body{{"slot", slot}};
  bool same_config = env_without_secrets(schema, settings) == env_of_config(object_of(plugin, "config"));
  bool sets_secrets = !secrets_of_env(schema, settings).empty();
  if (!same_config || sets_secrets || same_version) body["config"] = std::move(*config);
  return same_version ? PluginOrder{"Configure", std::move(body)} : PluginOrder{"Swap", with(std::move(body), named)};
}

Verdict mirror_plugin(Context& context, const Kv& app, const json::object& plugin) {
  // It does not run, or may yet be rolled back: what was in force last stays true.
  if (text_of(plugin, "digest").empty() || !flag_of(plugin, "settled", true)) return std::nullopt;
  auto env = shown_env(context, text_of(plugin, "slot"), object_of(plugin, "config"));
  if (!env) return env.error();
  std::string current = text_of(app.value, "release");
  if (!current.empty()) {
    auto release = context.store.get(release_key(current));
    if (!release) return release.error();
    if (*release && shows((*release)->value, plugin, *env)) return std::nullopt;
  }
  std::string app_id = text_of(app.value, "id");
  auto releases = releases_of_app(context, app_id);
  if (!releases) return releases.error();
  Change change;
  for (const Kv& known : *releases) {
    if (!shows(known.value, plugin, *env)) continue;
    if (Verdict bad = set_release(context, app, known.value, change)) return bad;
    return context.store.must_commit(change);
  }
  json::object release = release_of(app, plugin, *env);
  std::string id = text_of(release, "id");
  change.require(release_key(id), 0).put(release_key(id), release);
  change.put("app-releases/" + app_id + "/" + id, {{"created_at", text_of(release, "created_at")}});
  change.event({app_id, "release", id, public_form(release)});
  if (Verdict bad = set_release(context, app, release, change)) return bad;
  if (Verdict bad = context.store.must_commit(change)) return bad;
  return forget_oldest(context, app_id, *releases);
}

}  // namespace flynn::controller
