/// Providers and what they have provisioned.
#pragma once

#include "context.h"

namespace flynn::controller {

/// A provider by name or id.
Outcome<Kv> find_provider(Context& context, const std::string& reference);
struct Provisioned {
  std::string external_id;
  json::object env;  // secret
};
/// Asks the provider for a new resource: `flynn.database/1` through the door, http:// by POST.
Outcome<Provisioned> provision(Context& context, const std::string& url, const json::object& config);
/// Gives it back. One that the provider no longer knows counts as given back.
Verdict deprovision(Context& context, const std::string& url, const std::string& external_id);
/// Takes the app out of its resources; those that no other app uses are deprovisioned. Answers these.
Outcome<json::array> release_resources_of_app(Context& context, const std::string& app_id);

}  // namespace flynn::controller
