// Every route by every kind of key: what nobody allowed is refused.
#include <set>

#include "access_fixture_test.h"

namespace flynn::controller {
namespace {

/// W: a key of all apps; R: one of all apps that reads; a: one of the app; r: one of the app that reads; o: one of
/// another app. No letter: refused. Root may do everything, nobody without a key anything but what is open ("*").
struct Row {
  const char *method, *pattern, *allowed;
};
constexpr Row kMatrix[] = {
    {"GET", "/ping", "*"},
    {"GET", "/ca-cert", "*"},
    {"GET", "/.well-known/status", "WRaro"},
    {"GET", "/openapi.json", "WRaro"},
    {"POST", "/apps", "W"},
    {"GET", "/apps", "WRaro"},
    {"GET", "/apps/:a", "WRar"},
    {"POST", "/apps/:a", "Wa"},
    {"POST", "/apps/:a/meta", "Wa"},
    {"DELETE", "/apps/:a", "Wa"},
    {"POST", "/apps/:a/gc", "Wa"},
    {"GET", "/apps/:a/log", "WRar"},
    {"GET", "/apps/:a/explain", "WRar"},
    {"GET", "/apps/:a/maintenance", "WRar"},
    {"PUT", "/apps/:a/maintenance", "Wa"},
    {"POST", "/releases", "Wa"},
    {"GET", "/releases", "WR"},
    {"GET", "/releases/:r", "WRar"},
    {"GET", "/apps/:a/releases", "WRar"},
    {"GET", "/apps/:a/release", "WRar"},
    {"PUT", "/apps/:a/release", "Wa"},
    {"DELETE", "/apps/:a/releases/:r", "Wa"},
    {"POST", "/artifacts", "W"},
    {"GET", "/artifacts", "WR"},
    {"GET", "/artifacts/:id", "WRar"},
    {"GET", "/formations", "WR"},
    {"GET", "/apps/:a/formations", "WRar"},
    {"GET", "/apps/:a/formations/:r", "WRar"},
    {"PUT", "/apps/:a/formations/:r", "Wa"},
    {"DELETE", "/apps/:a/formations/:r", "Wa"},
    {"PUT", "/apps/:a/scale/:r", "Wa"},
    {"POST", "/apps/:a/deploy", "Wa"},
    {"GET", "/apps/:a/deployments", "WRar"},
    {"GET", "/deployments/:d", "WRar"},
    {"POST", "/apps/:a/jobs", "Wa"},
    {"GET", "/apps/:a/jobs", "WRar"},
    {"GET", "/apps/:a/jobs/:j", "WRar"},
    {"PUT", "/apps/:a/jobs/:j", "Wa"},
    {"DELETE", "/apps/:a/jobs/:j", "Wa"},
    {"GET", "/active-jobs", "WR"},
    {"POST", "/apps/:a/jobs/:j/exec", "Wa"},
    {"POST", "/apps/:a/jobs/:j/port/:p", "Wa"},
    {"GET", "/routes", "WR"},
    {"GET", "/apps/:a/routes", "WRar"},
    {"GET", "/apps/:a/routes/:type/:id", "WRar"},
    {"POST", "/apps/:a/routes", "Wa"},
    {"PUT", "/apps/:a/routes/:type/:id", "Wa"},
    {"DELETE", "/apps/:a/routes/:type/:id", "Wa"},
    {"POST", "/providers", "W"},
    {"GET", "/providers", "WRaro"},
    {"GET", "/providers/:p", "WRaro"},
    {"POST", "/providers/:p/resources", "Wa"},
    {"GET", "/providers/:p/resources", "WR"},
    {"GET", "/providers/:p/resources/:r", "WRar"},
    {"PUT", "/providers/:p/resources/:r", "W"},
    {"DELETE", "/providers/:p/resources/:r", "Wa"},
    {"PUT", "/providers/:p/resources/:r/apps/:a", "W"},
    {"DELETE", "/providers/:p/resources/:r/apps/:a", "W"},
    {"GET", "/apps/:a/resources", "WRar"},
    {"GET", "/resources", "WR"},
    {"GET", "/events", "WRar"},
    {"GET", "/events/:id", "WRar"},
    {"GET", "/volumes", "WR"},
    {"PUT", "/volumes/:v", "W"},
    {"GET", "/apps/:a/volumes", "WRar"},
    {"GET", "/apps/:a/volumes/:v", "WRar"},
    {"PUT", "/apps/:a/volumes/:v/decommission", "Wa"},
    {"POST", "/sinks", "W"},
    {"GET", "/sinks", "WR"},
    {"GET", "/sinks/:s", "WR"},
    {"DELETE", "/sinks/:s", "W"},
    {"POST", "/keys", "W"},
    {"GET", "/keys", "WR"},
    {"GET", "/keys/:f", "WR"},
    {"DELETE", "/keys/:f", "W"},
    {"POST", "/access-keys", "W"},
    {"GET", "/access-keys", "W"},
    {"GET", "/access-keys/:k", "W"},
    {"DELETE", "/access-keys/:k", "W"},
    {"POST", "/access-keys/:k/rotate", "W"},
    {"GET", "/access-log", "W"},
    {"GET", "/backup", "W"},
    {"PUT", "/domain", "W"},
};

class AccessMatrix : public AccessTest {
 protected:
  AccessMatrix() {
    object("POST", "/apps", R"({"name":"other"})");
    keys_ = {{'a', ""},
             {'r', ""},
             {'o', key("other-key", R"(,"app":"other")")},
             {'R', key("reader", R"(,"read_only":true)")},
             {'W', key("writer", "")}};
    object("POST", "/providers", R"({"name":"db","url":"http://127.0.0.1:9/none"})");
  }
  /// An app with one of everything.
  void new_world() {
    const std::string name = "shop-" + std::to_string(++worlds_);
    keys_['a'] = "";
    object("POST", "/apps", R"({"name":")" + name + R"("})");
    keys_['a'] = key("w-" + name, R"(,"app":")" + name + '"');
    keys_['r'] = key("r-" + name, R"(,"read_only":true,"app":")" + name + '"');
    const std::string image = artifact();
    const std::string id = release(name, image);
    object("PUT", "/apps/" + name + "/release", R"({"id":")" + id + R"("})");
    const auto deployment = object("POST", "/apps/" + name + "/deploy", R"({"id":")" + id + R"("})");
    const std::string resource = new_uuid();
    object("PUT", "/providers/db/resources/" + resource, R"({"external_id":"x","apps":[")" + name + R"("]})");
    const auto events = parse_json(ask(kRoot, "GET", "/events?count=1&app_id=" + name).body);
    ids_ = {{":a", name},
            {":r", id},
            {":id", image},
            {":d", text_of(deployment, "id")},
            {":p", "db"},
            {":resource", resource},
            {":event", std::to_string(number_of(events->as_array().at(0).as_object(), "id"))}};
  }
  std::string target_of(const std::string& pattern) {
    HttpRequest parsed;
    parse_target(pattern, parsed);
    std::string out;
    for (std::string name : parsed.segments) {
      if (name == ":r" && pattern.starts_with("/providers")) name = ":resource";
      if (name == ":id" && pattern.starts_with("/events")) name = ":event";
      if (name == ":type") name = "http";
      const auto known = ids_.find(name);
      out += "/" + (known != ids_.end() ? known->second : name.starts_with(':') ? new_uuid() : name);
    }
    return pattern == "/events" ? out + "?app_id=" + ids_[":a"] : out;
  }
  std::string body_of_route(const std::string& pattern) {
    if (pattern == "/releases") return R"({"app_id":")" + ids_[":a"] + R"("})";
    if (pattern == "/providers/:p/resources") return R"({"apps":[")" + ids_[":a"] + R"("]})";
    return "{}";
  }

  std::map<char, std::string> keys_;
  std::map<std::string, std::string> ids_;
  int worlds_ = 0;
};

TEST_F(AccessMatrix, EveryRouteByEveryKey) {
  for (const Row& row : kMatrix) {
    new_world();
    const std::string target = target_of(row.pattern), body = body_of_route(row.pattern);
    const std::string what = std::string(row.method) + " " + row.pattern;
    const std::string allowed = row.allowed;
    EXPECT_EQ(ask("", row.method, target, body).status == 401, allowed != "*") << what;
    EXPECT_EQ(ask("wrong", row.method, target, body).status == 401, std::string(row.pattern) != "/ping") << what;
    // The strongest last: what they change is then gone for nobody.
    for (char who : {'o', 'r', 'R', 'a', 'W'}) {
      const bool expected = allowed == "*" || allowed.find(who) != std::string::npos;
      const auto answer = ask(keys_[who], row.method, target, body);
      EXPECT_NE(answer.status, 401) << what << " by " << who;
      EXPECT_EQ(answer.status != 403, expected) << what << " by " << who << ": " << answer.status << answer.body;
    }
    EXPECT_NE(ask(kRoot, row.method, target, body).status, 403) << what;
  }
}

TEST_F(AccessMatrix, NoRouteIsMissing) {
  std::set<std::string> known;
  for (const Row& row : kMatrix) known.insert(std::string(row.method) + " " + row.pattern);
  const RouterTable table = api_routes();
  for (const Route& route : table.routes()) {
    EXPECT_TRUE(known.contains(route.method + " " + route.pattern))
        << route.method << ' ' << route.pattern << " has no row in the matrix: say who may";
    const auto rules = access_rules();
    EXPECT_TRUE(std::any_of(
        rules.begin(), rules.end(),
        [&](const AccessRule& rule) { return rule.method == route.method && rule.pattern == route.pattern; }))
        << route.method << ' ' << route.pattern << " has no rule, so only administrators may";
  }
  EXPECT_EQ(access_of("GET", "/no/such/route"), Access::admin);
}

}  // namespace
}  // namespace flynn::controller
