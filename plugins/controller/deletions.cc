#include "deletions.h"

#include "apps.h"
#include "releases.h"

namespace flynn::controller {
namespace {

/// False when it must be tried again.
bool carry_out(Context& context, const Kv& note) {
  const std::string kind = text_of(note.value, "kind"), app = text_of(note.value, "app");
  Verdict bad;
  if (kind == "app") bad = end_app(context, app);
  if (kind == "release") bad = end_release(context, app, text_of(note.value, "release"));
  if (kind == "garbage") bad = end_garbage(context, app);
  if (!bad) return true;
  context.log.warn("deletion_waits", {{"kind", kind}, {"app", app}, {"error", bad->message}});
  return false;
}

}  // namespace

std::string app_deletion_key(const std::string& app_id) { return note_key(kDeletionKind, "app/" + app_id); }

std::string release_deletion_key(const std::string& app_id, const std::string& release_id) {
  return note_key(kDeletionKind, "release/" + app_id + "/" + release_id);
}

std::string garbage_key(const std::string& app_id) { return note_key(kDeletionKind, "garbage/" + app_id); }

void carry_out_deletions(Context& context) {
  auto notes = context.store.range(note_key(kDeletionKind, ""));
  if (!notes) context.log.warn("deletions_wait", {{"error", notes.error().message}});
  bool all = bool(notes);
  for (std::size_t i = 0; all && i < notes->size(); ++i) {
    if (context.stopping) return;  // the next instance goes on
    all = carry_out(context, (*notes)[i]);
  }
  if (!all && !context.stopping) context.deletions_wait = true;
}

}  // namespace flynn::controller
