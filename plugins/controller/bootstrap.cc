#include "bootstrap.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "apps.h"
#include "cluster_certificate.h"
#include "cluster_domain.h"
#include "domain_migration.h"
#include "http_routes.h"
#include "system_apps.h"

namespace flynn::controller {
namespace {

// A base file system is some hundred MiB.
constexpr std::chrono::milliseconds kImportTimeout{300'000};

bool is_digest(const std::string& id) {
  return id.size() == 64 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// {"run":[Layer], …}; an object without members when none is configured.
Outcome<json::object> read_stacks(const std::string& path) {
  if (path.empty()) return json::object{};
  std::ifstream file(path);
  if (!file) return unknown_error("stacks_file " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  auto document = parse_json_object(text.str());
  if (!document) return unknown_error("stacks_file " + path + ": " + document.error().message);
  json::object out;
  for (const auto& stack : *document) {
    if (!stack.value().is_array()) continue;
    for (const json::value& layer : stack.value().get_array()) {
      bool good = layer.is_object() && is_digest(text_of(layer.get_object(), "id"));
      if (!good)
        return unknown_error("stacks_file " + path + ": stack " + std::string(stack.key()) + " has a bad layer");
    }
    out[stack.key()] = stack.value();
  }
  return out;
}

Verdict import_layer(Context& context, const std::string& id) {
  std::string name = "layers/" + id + ".squashfs";
  auto known = context.door.call("flynn.blobstore/1", "Stat", {{"name", name}});
  if (known) return std::nullopt;
  if (known.error().code != Code::not_found) return unknown_error("blobstore Stat: " + known.error().message);
  std::string path = context.settings.layers_dir + "/" + id + ".squashfs";
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return unknown_error("layer " + path + ": " + std::strerror(errno));
  auto put = context.door.call("flynn.blobstore/1", "Put", {{"name", name}, {"sha512_256", id}},
                               Deadline::after(kImportTimeout), {file.get()});
  if (!put) return unknown_error("import of layer " + id + ": " + put.error().message);
  context.log.info("layer_imported", {{"id", id}});
  return std::nullopt;
}

Verdict import_stacks(Context& context, const json::object& stacks) {
  if (context.settings.layers_dir.empty()) return std::nullopt;
  for (const auto& stack : stacks) {
    for (const json::value& layer : stack.value().get_array()) {
      if (context.stopping) return unknown_error("interrupted");
      if (Verdict bad = import_layer(context, text_of(layer.get_object(), "id"))) return bad;
    }
  }
  return std::nullopt;
}

/// The stored domain stays, whatever is configured: a migration may have set it.
Verdict write_config(Context& context, const json::object& stacks) {
  auto before = context.store.get(kClusterConfigKey);
  if (!before) return before.error();
  json::object wanted = *before ? (*before)->value : json::object{};
  wanted["v"] = 1;
  if (!wanted.contains("domain")) wanted["domain"] = context.settings.configured_domain;
  // A store from before there were migrations has the domain that was configured then.
  if (!wanted.contains("configured_domain")) wanted["configured_domain"] = wanted["domain"];
  if (!stacks.empty() || !wanted.contains("stacks")) wanted["stacks"] = stacks;
  if (*before && (*before)->value == wanted) return std::nullopt;
  Change change;
  change.require(kClusterConfigKey, *before ? (*before)->mod_revision : 0).put(kClusterConfigKey, wanted);
  return context.store.must_commit(change);
}

/// A configuration that has another domain than when it was last looked at asks for a migration to it.
Verdict follow_configured_domain(Context& context) {
  auto config = context.store.get(kClusterConfigKey);
  if (!config) return config.error();
  if (!*config) return service_unavailable("the cluster's configuration is not written yet");
  const std::string& configured = context.settings.configured_domain;
  const std::string domain = text_of((*config)->value, "domain");
  if (text_of((*config)->value, "configured_domain") == configured) return std::nullopt;
  if (domain == configured) {
    json::object changed = (*config)->value;
    changed["configured_domain"] = configured;
    Change change;
    change.require(kClusterConfigKey, (*config)->mod_revision).put(kClusterConfigKey, std::move(changed));
    return context.store.must_commit(change);
  }
  auto running = domain_migration_runs(context);
  if (!running) return running.error();
  if (*running) return service_unavailable("a migration of the domain runs; the configured one comes after it");
  auto begun = begin_domain_migration(context, configured, domain, {{"configured_domain", configured}});
  if (begun) return std::nullopt;
  if (begun.error().status >= 500) return begun.error();
  context.log.error("configured_domain_refused", {{"domain", configured}, {"error", begun.error().message}});
  return std::nullopt;
}

// git's service is the builder's, images' that of the plugin images; each registers it when it has a socket.
constexpr std::array<std::pair<const char*, const char*>, 3> kSystemNames{
    {{"controller.", "controller"}, {"git.", "gitreceive"}, {"images.", "images"}}};

Verdict prepare_domain(Context& context) {
  auto domains = cluster_domains(context);
  if (!domains) return domains.error();
  // A migration brings a certificate of its own, which its client knows already.
  auto migrates = domain_migration_runs(context);
  if (!migrates) return migrates.error();
  if (!*migrates) {
    if (Verdict bad = ensure_certificates(context, *domains)) return bad;
  }
  Verdict bad = add_system_routes(context, domains->current);
  if (bad && bad->status != 409) return bad;
  if (bad) context.log.warn("system_route_taken", {{"error", bad->message}});
  return follow_configured_domain(context);
}

}  // namespace

Verdict check_system_names(Context& context, const std::string& domain) {
  auto app = system_app(context, context.settings.slot);
  if (!app) return app.error();
  for (const auto& [name, service] : kSystemNames) {
    auto route = http_route_at(context, name + domain, "/");
    if (!route) return route.error();
    if (*route && !is_route_of((*route)->value, text_of(app->value, "id")))
      return conflict("the platform needs " + (name + domain) + ", but an app has that route: remove it first");
  }
  return std::nullopt;
}

Verdict add_system_routes(Context& context, const std::string& domain) {
  auto app = system_app(context, context.settings.slot);
  if (!app) return app.error();
  for (const auto& [name, service] : kSystemNames) {
    json::object route{{"domain", name + domain}, {"service", service}, {"drain_backends", false}};
    auto added = add_http_route(context, text_of(app->value, "id"), route);
    if (!added && added.error().status != 409) return added.error();  // 409: there, or taken
  }
  return check_system_names(context, domain);
}

Verdict bootstrap(Context& context) {
  auto stacks = read_stacks(context.settings.stacks_file);
  if (!stacks) return stacks.error();
  if (Verdict bad = import_stacks(context, *stacks)) return bad;
  if (Verdict bad = write_config(context, *stacks)) return bad;
  if (Verdict bad = prepare_domain(context)) return bad;
  return context.store.prune_events();
}

}  // namespace flynn::controller
