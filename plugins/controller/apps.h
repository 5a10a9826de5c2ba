/// Apps and their end.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Stores a complete App with its event and, unless it is a system app, its default route.
Verdict store_new_app(Context& context, const json::object& app);

/// Marks the app, which is then deleted in the background; the event `app_deletion` says when and how it ended.
Outcome<HttpResponse> delete_app(Context& context, const HttpRequest& request, const Params& params);
/// Deletes it now, with all that is its own; nothing when it is gone already. An error: nothing was recorded.
Verdict end_app(Context& context, const std::string& app_id);
/// For apps that a controller before 1.3 has marked for deletion, which noted nothing.
Verdict note_marked_apps(Context& context);

}  // namespace flynn::controller
