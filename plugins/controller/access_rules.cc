#include "access_rules.h"

namespace flynn::controller {
namespace {

using enum Access;

constexpr AccessRule kRules[] = {
    {"GET", "/ping", open},
    {"GET", "/ca-cert", open},
    {"GET", "/.well-known/status", any_key},
    {"GET", "/openapi.json", any_key},

    {"POST", "/apps", admin},
    {"GET", "/apps", list_apps},
    {"GET", "/apps/:a", read_app},
    {"POST", "/apps/:a", write_app},
    {"POST", "/apps/:a/meta", write_app},
    {"DELETE", "/apps/:a", write_app},
    {"POST", "/apps/:a/gc", write_app},
    {"GET", "/apps/:a/log", read_app},
    {"GET", "/apps/:a/explain", read_app},
    {"GET", "/apps/:a/maintenance", read_app},
    {"PUT", "/apps/:a/maintenance", write_app},

    {"POST", "/releases", new_release},
    {"GET", "/releases", read_cluster},
    {"GET", "/releases/:r", release},
    {"GET", "/apps/:a/releases", read_app},
    {"GET", "/apps/:a/release", read_app},
    {"PUT", "/apps/:a/release", write_app},
    {"DELETE", "/apps/:a/releases/:r", write_app},

    // An artifact can name any layer of the cluster, so whoever makes one can read every app's.
    {"POST", "/artifacts", admin},
    {"GET", "/artifacts", read_cluster},
    {"GET", "/artifacts/:id", artifact},

    {"GET", "/formations", read_cluster},
    {"GET", "/apps/:a/formations", read_app},
    {"GET", "/apps/:a/formations/:r", read_app},
    {"PUT", "/apps/:a/formations/:r", write_app},
    {"DELETE", "/apps/:a/formations/:r", write_app},
    {"PUT", "/apps/:a/scale/:r", write_app},

    {"POST", "/apps/:a/deploy", write_app},
    {"GET", "/apps/:a/deployments", read_app},
    {"GET", "/deployments/:d", deployment},

    {"POST", "/apps/:a/jobs", write_app},
    {"GET", "/apps/:a/jobs", read_app},
    {"GET", "/apps/:a/jobs/:j", read_app},
    {"DELETE", "/apps/:a/jobs/:j", write_app},
    {"PUT", "/apps/:a/jobs/:j", write_app},
    {"GET", "/active-jobs", read_cluster},
    {"POST", "/apps/:a/jobs/:j/exec", write_app},
    {"POST", "/apps/:a/jobs/:j/port/:p", write_app},

    {"GET", "/routes", read_cluster},
    {"GET", "/apps/:a/routes", read_app},
    {"GET", "/apps/:a/routes/:type/:id", read_app},
    {"POST", "/apps/:a/routes", route_app},
    {"PUT", "/apps/:a/routes/:type/:id", route_app},
    {"DELETE", "/apps/:a/routes/:type/:id", write_app},

    {"POST", "/providers", admin},
    {"GET", "/providers", any_key},
    {"GET", "/providers/:p", any_key},
    {"POST", "/providers/:p/resources", new_resource},
    {"GET", "/providers/:p/resources", read_cluster},
    {"GET", "/providers/:p/resources/:r", resource},
    {"PUT", "/providers/:p/resources/:r", admin},
    {"DELETE", "/providers/:p/resources/:r", resource},
    {"PUT", "/providers/:p/resources/:r/apps/:a", admin},
    {"DELETE", "/providers/:p/resources/:r/apps/:a", admin},
    {"GET", "/apps/:a/resources", read_app},
    {"GET", "/resources", read_cluster},

    {"GET", "/events", list_events},
    {"GET", "/events/:id", event},

    {"GET", "/volumes", read_cluster},
    {"GET", "/apps/:a/volumes", read_app},
    {"GET", "/apps/:a/volumes/:v", read_app},
    {"PUT", "/apps/:a/volumes/:v/decommission", write_app},
    {"PUT", "/volumes/:v", admin},

    {"POST", "/sinks", admin},
    {"GET", "/sinks", read_cluster},
    {"GET", "/sinks/:s", read_cluster},
    {"DELETE", "/sinks/:s", admin},

    {"POST", "/keys", admin},
    {"GET", "/keys", read_cluster},
    {"GET", "/keys/:f", read_cluster},
    {"DELETE", "/keys/:f", admin},

    {"POST", "/access-keys", admin},
    {"GET", "/access-keys", admin},
    {"GET", "/access-keys/:k", admin},
    {"DELETE", "/access-keys/:k", admin},
    {"POST", "/access-keys/:k/rotate", admin},
    {"GET", "/access-log", admin},

    // It holds the state of every app.
    {"GET", "/backup", admin},
    {"PUT", "/domain", admin},
};

}  // namespace

std::span<const AccessRule> access_rules() { return kRules; }

Access access_of(std::string_view method, std::string_view pattern) {
  for (const AccessRule& rule : kRules) {
    if (rule.method == method && rule.pattern == pattern) return rule.access;
  }
  return Access::admin;
}

bool is_write(std::string_view method) { return method != "GET" && method != "HEAD"; }

}  // namespace flynn::controller
