/// Releases of system apps: one for each version and configuration that a plugin has had.
///
/// Such a release has "plugin": {slot, version, digest}; its env is the whole configuration, with defaults, without the
/// secrets that nobody has set through it.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Completes a release that a client asks for: judged by the node against the schema of its version; a wrong value is
/// an error that names it.
Verdict complete_plugin_release(Context& context, const json::object& app, const json::object& asked,
                                const std::vector<Kv>& artifacts, json::object& release);

/// True when `plugin` (of flynn.node/1) runs what the release says.
bool is_in_force(const Context& context, const json::object& release, const json::object& plugin);

/// What flynn.node/1 must be asked for to bring the release in force: its method and the request.
struct PluginOrder {
  const char* method = nullptr;
  json::object body;
};
Outcome<PluginOrder> order_of(Context& context, const json::object& release, const json::object& plugin);

/// Makes the app's current release say what runs: the one that says so, or a new one.
Verdict mirror_plugin(Context& context, const Kv& app, const json::object& plugin);

}  // namespace flynn::controller
