#include "bootstrap.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "apps.h"
#include "cluster_certificate.h"
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

Verdict write_config(Context& context, const json::object& stacks) {
  auto before = context.store.get("cluster/config");
  if (!before) return before.error();
  json::object wanted = *before ? (*before)->value : json::object{};
  wanted["v"] = 1;
  wanted["domain"] = context.settings.domain;
  if (!stacks.empty() || !wanted.contains("stacks")) wanted["stacks"] = stacks;
  if (*before && (*before)->value == wanted) return std::nullopt;
  Change change;
  change.require("cluster/config", *before ? (*before)->mod_revision : 0).put("cluster/config", wanted);
  return context.store.must_commit(change);
}

Verdict create_system_app(Context& context) {
  auto app = system_app(context, context.settings.slot);
  if (!app) return app.error();
  // git's service is the builder's, images' that of the plugin images; each registers it when it has a socket.
  for (const auto& [name, service] :
       {std::pair{"controller.", "controller"}, {"git.", "gitreceive"}, {"images.", "images"}}) {
    json::object route{{"domain", name + context.settings.domain}, {"service", service}, {"drain_backends", false}};
    auto added = add_http_route(context, text_of(app->value, "id"), route);
    if (!added && added.error().status != 409) return added.error();
  }
  return std::nullopt;
}

}  // namespace

Verdict bootstrap(Context& context) {
  auto stacks = read_stacks(context.settings.stacks_file);
  if (!stacks) return stacks.error();
  if (Verdict bad = import_stacks(context, *stacks)) return bad;
  if (Verdict bad = write_config(context, *stacks)) return bad;
  if (Verdict bad = ensure_certificates(context)) return bad;
  if (Verdict bad = create_system_app(context)) return bad;
  return context.store.prune_events();
}

}  // namespace flynn::controller
