/// Releases: what an app runs, immutable.
#pragma once

#include "context.h"
#include "page.h"

namespace flynn::controller {

/// Resource limits that were not given, and a request for each limit.
void fill_resources(json::object& process, std::int64_t memory_bytes);
/// The layers of a release, base first: empty when it has no artifacts.
Outcome<json::array> layers_of(Context& context, const std::vector<std::string>& artifact_ids);
std::vector<std::string> artifact_ids_of(const json::object& release);
/// Releases of an app, newest first.
Outcome<std::vector<Kv>> releases_of_app(Context& context, const std::string& app_id, const Page& page = {});
/// Adds to `change` what makes `release` the current one, with its event.
Verdict set_release(Context& context, const Kv& app, const json::object& release, Change& change);

/// Deletes the release, then those of its artifacts that nobody else uses, with their files. For apps' deletion too.
struct DeletedRelease {
  json::array files;
  json::array remaining_apps;
};
/// By itself: its end is an event, and ends the note (deletions.h).
enum class Asked { by_itself, with_others };
Outcome<DeletedRelease> delete_release_now(Context& context, const std::string& app_id, const Kv& release, Asked asked);
/// Notes the deletion, which is then done in the background; the event `release_deletion` says how it ended.
Outcome<HttpResponse> delete_release(Context& context, const HttpRequest& request, const Params& params);
Outcome<HttpResponse> collect_garbage(Context& context, const HttpRequest& request, const Params& params);
/// What these two noted, now. An error: nothing was recorded.
Verdict end_release(Context& context, const std::string& app_id, const std::string& id);
Verdict end_garbage(Context& context, const std::string& app_id);
/// Deletes releases of a push that are neither current, nor among the newest `gc.max_inactive_slug_releases`, nor in
/// use.
Outcome<json::array> collect_garbage_of(Context& context, const std::string& app_id);

}  // namespace flynn::controller
