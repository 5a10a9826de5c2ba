/// Apps and their end.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Stores a complete App with its event and, unless it is a system app, its default route.
Verdict store_new_app(Context& context, const json::object& app);

/// Marks the app and deletes it in the background; the event `app_deletion` says when and how it ended.
Outcome<HttpResponse> delete_app(Context& context, const HttpRequest& request, const Params& params);
/// Goes on with deletions that a crash or a swap interrupted.
void resume_app_deletions(Context& context);

}  // namespace flynn::controller
