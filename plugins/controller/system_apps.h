/// System apps: each plugin of the node as an app (docs/decisions/0015-plugins-are-apps.md).
///
/// An app that is a plugin has the hidden member "_plugin": its slot. Only we write it; meta is the user's.
#pragma once

#include "context.h"

namespace flynn::controller {

/// The slot of a system app; empty for every other app.
inline std::string plugin_slot(const json::object& app) { return text_of(app, "_plugin"); }

/// 400 for what makes no sense for a plugin: "router is a plugin of this node: <why>". Nothing for other apps.
Verdict refuse_for_plugin(const json::object& app, const std::string& why);
/// A system app can be deleted only when its slot is gone.
Verdict refuse_deletion_of_plugin(Context& context, const json::object& app);

/// The app of a slot: found, or made now. [any]
Outcome<Kv> system_app(Context& context, const std::string& slot);

/// The plugin that runs, as the wire's Job.
Outcome<json::array> jobs_of_plugin(Context& context, const json::object& app);

/// What the plugin logged last: `lines` of them (-1: all that are kept), as the wire shows an app's log.
Outcome<HttpResponse> log_of_plugin(Context& context, const json::object& app, std::int64_t lines);

}  // namespace flynn::controller
