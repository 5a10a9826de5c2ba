#include "context.h"
#include "validation.h"

namespace flynn::controller {

Outcome<Kv> find_app(Context& context, const std::string& reference) {
  if (auto id = canonical_uuid(reference)) {
    auto app = context.store.get(app_key(*id));
    if (!app) return app.error();
    if (*app) return std::move(**app);
  }
  if (!is_app_name(reference)) return not_found("app " + reference);
  auto name = context.store.get(app_name_key(reference));
  if (!name) return name.error();
  if (!*name) return not_found("app " + reference);
  auto app = context.store.get(app_key(text_of((*name)->value, "app_id")));
  if (!app) return app.error();
  if (!*app) return not_found("app " + reference);
  return std::move(**app);
}

Outcome<Kv> find_release(Context& context, const std::string& reference) {
  auto id = canonical_uuid(reference);
  if (!id) return not_found("release " + reference);
  auto release = context.store.get(release_key(*id));
  if (!release) return release.error();
  if (!*release) return not_found("release " + reference);
  return std::move(**release);
}

Outcome<std::vector<Kv>> read_all(Context& context, const std::string& prefix, const std::vector<std::string>& ids) {
  std::vector<std::string> keys;
  keys.reserve(ids.size());
  for (const std::string& id : ids) keys.push_back(prefix + id);
  auto found = context.store.get_many(keys);
  if (!found) return found.error();
  std::vector<Kv> out;
  for (auto& kv : *found) {
    if (kv) out.push_back(std::move(*kv));
  }
  return out;
}

}  // namespace flynn::controller
