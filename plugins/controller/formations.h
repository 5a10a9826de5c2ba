/// Formations as the wire shows them.
#pragma once

#include "context.h"

namespace flynn::controller {

json::object formation_of(const json::object& stored);
json::object new_formation(const std::string& app_id, const std::string& release_id, json::object processes,
                           json::object tags, const std::optional<Kv>& before);
/// The app, the release (of that app) and its formation, if any; 404 when one of the first two is missing.
struct FormationPlace {
  Kv app, release;
  std::optional<Kv> formation;
};
Outcome<FormationPlace> find_formation(Context& context, const std::string& app, const std::string& release);
/// What may not be: unknown types, bad counts, a release without artifacts, a critical app at zero.
Verdict check_formation(const FormationPlace& place, const json::object& processes);
/// The deprecated event that counts changed.
Event scale_event(const std::string& app_id, const std::string& release_id, const json::object& before,
                  const json::object& after);

}  // namespace flynn::controller
