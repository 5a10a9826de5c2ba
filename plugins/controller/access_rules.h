/// What a key must be allowed before a route's handler runs: one row for every route, in one table.
///
/// A route without a row is for administrators only, and a test finds it. The questions of each rule are answered in
/// access_check.cc.
#pragma once

#include <span>
#include <string_view>

namespace flynn::controller {

enum class Access {
  admin,         // a key of all apps that may write; also what a missing row means
  open,          // no key at all
  any_key,       // every key: says nothing about any app
  list_apps,     // every key; one of an app is shown that app alone
  read_cluster,  // a key of all apps
  read_app,      // segment 0 names the app
  write_app,     // as read_app, and the releases and artifacts that are named must be the app's
  route_app,     // as write_app, and the route leads to a service of the app, under a name that is not the cluster's
  new_release,   // the body names the app; as write_app
  release,       // segment 0 names a release of the app
  artifact,      // segment 0 names an artifact that a release of the app uses
  deployment,    // segment 0 names a deployment of the app
  event,         // segment 0 names an event of the app
  list_events,   // the query's app_id names the app
  new_resource,  // the body's apps are the app alone
  resource,      // segment 1 names a resource of the app alone
};

struct AccessRule {
  std::string_view method, pattern;
  Access access;
};

std::span<const AccessRule> access_rules();
/// Of a route; Access::admin when it has no row.
Access access_of(std::string_view method, std::string_view pattern);
/// Whether a key that may only read is refused.
bool is_write(std::string_view method);

}  // namespace flynn::controller
