// The document of the API by itself: that it tells of every route, and of nothing else.
#include <boost/json.hpp>

#include "access_fixture_test.h"
#include "openapi_checker_test.h"
#include "openapi_document.h"

namespace flynn::controller {
namespace {

std::string_view name_of(Access access) {
  switch (access) {
    case Access::admin:
      return "admin";
    case Access::open:
      return "open";
    case Access::any_key:
      return "any_key";
    case Access::list_apps:
      return "list_apps";
    case Access::read_cluster:
      return "read_cluster";
    case Access::read_app:
      return "read_app";
    case Access::write_app:
      return "write_app";
    case Access::route_app:
      return "route_app";
    case Access::new_release:
      return "new_release";
    case Access::release:
      return "release";
    case Access::artifact:
      return "artifact";
    case Access::deployment:
      return "deployment";
    case Access::event:
      return "event";
    case Access::list_events:
      return "list_events";
    case Access::new_resource:
      return "new_resource";
    case Access::resource:
      return "resource";
  }
  return "";
}

/// "/apps/{app}/jobs" and "/apps/:a/jobs" are both "/apps/*/jobs".
std::string shape_of(std::string_view path) {
  std::string out;
  bool variable = false;
  for (char c : path) {
    if (c == '/') variable = false;
    if (!variable && (c == ':' || c == '{') && out.ends_with('/')) {
      variable = true;
      out += '*';
    }
    if (!variable) out += c;
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

class OpenApi : public testing::Test {
 protected:
  /// Each with its path and method.
  void for_each_operation(const std::function<void(std::string_view, std::string_view, const json::object&)>& see) {
    for (const auto& path : checker_.document().at("paths").as_object()) {
      for (const auto& operation : path.value().as_object())
        see(path.key(), upper(operation.key()), operation.value().as_object());
    }
  }
  void expect_that_references_lead_somewhere(const json::value& value) {
    if (value.is_array()) {
      for (const json::value& item : value.get_array()) expect_that_references_lead_somewhere(item);
    }
    if (!value.is_object()) return;
    for (const auto& entry : value.get_object()) {
      if (entry.key() == "$ref") {
        ++references_;
        // A $ref hides what stands beside it from validators of older drafts.
        EXPECT_EQ(value.get_object().size(), 1U) << json::serialize(value);
        EXPECT_NE(checker_.resolve(entry.value().as_string()), nullptr) << entry.value();
      }
      expect_that_references_lead_somewhere(entry.value());
    }
  }

  OpenApiChecker checker_;
  int references_ = 0;
};

TEST_F(OpenApi, HasEveryRouteAndNoOther) {
  std::map<std::string, std::string_view> documented, served;
  for_each_operation([&](std::string_view path, std::string_view method, const json::object& operation) {
    documented[std::string(method) + " " + shape_of(path)] = operation.at("x-flynn-access").as_string();
  });
  const RouterTable table = api_routes();
  for (const Route& route : table.routes())
    served[route.method + " " + shape_of(route.pattern)] = name_of(route.access);

  EXPECT_EQ(documented, served);
  EXPECT_EQ(served.size(), table.routes().size());
}

TEST_F(OpenApi, ReferencesLeadSomewhere) {
  expect_that_references_lead_somewhere(checker_.document());

  EXPECT_GT(references_, 300);
}

TEST_F(OpenApi, DeclaresEachVariableOfAPath) {
  for_each_operation([&](std::string_view path, std::string_view method, const json::object& operation) {
    std::set<std::string> wanted, declared;
    for (std::size_t at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1))
      wanted.emplace(path.substr(at + 1, path.find('}', at) - at - 1));
    for (const json::value& parameter : array_of(operation, "parameters")) {
      const json::object& resolved = checker_.resolved(parameter);
      if (text_of(resolved, "in") != "path") continue;
      declared.insert(text_of(resolved, "name"));
      EXPECT_TRUE(flag_of(resolved, "required")) << path;
    }
    EXPECT_EQ(declared, wanted) << method << ' ' << path;
  });
}

TEST_F(OpenApi, NamesEachOperationOnceAndSaysWhoMayAndHowItFails) {
  std::set<std::string> ids;
  const json::object rules = object_of(checker_.document(), "x-flynn-access-rules");
  for_each_operation([&](std::string_view path, std::string_view method, const json::object& operation) {
    const std::string what = std::string(method) + " " + std::string(path), rule = text_of(operation, "x-flynn-access");
    EXPECT_TRUE(ids.insert(text_of(operation, "operationId")).second) << what;
    EXPECT_FALSE(text_of(operation, "summary").empty()) << what;
    EXPECT_TRUE(rules.contains(rule)) << what;
    const json::object responses = object_of(operation, "responses");
    EXPECT_TRUE(responses.contains("200") || responses.contains("101")) << what;
    EXPECT_EQ(operation.contains("security"), rule == "open") << what;
    const bool everybodys = rule == "open" || rule == "any_key" || rule == "list_apps";
    EXPECT_EQ(responses.contains("403"), !everybodys) << what;
    EXPECT_EQ(responses.contains("401"), path != "/ping") << what;
    for (const auto& response : responses) {
      const bool bare = response.key() == "401" || response.key() == "404";
      EXPECT_FALSE(bare && checker_.resolved(response.value()).contains("content")) << what;
    }
  });
}

TEST_F(OpenApi, CheckerRefusesWhatTheDocumentDoesNotSay) {
  const std::string status = R"({"data":{"status":"healthy","version":"v20210218.0","detail":""}})";
  const Exchange good{"GET", "/.well-known/status", "", 200, "application/json; charset=utf-8", status};
  EXPECT_EQ(checker_.problem(good), "");

  std::vector<Exchange> bad(8, good);
  bad[0].body = R"({"data":{"status":"well","version":"v20210218.0","detail":""}})";
  bad[1].body = R"({"data":{"status":"healthy","version":"v20210218.0"}})";
  bad[2].body = R"({"data":{"status":"healthy","version":"v20210218.0","detail":"","more":1}})";
  bad[3].body = "{";
  bad[4].status = 201;
  bad[5].content_type = "text/html";
  bad[6].target = "/status";
  bad[7].status = 404;
  for (const Exchange& exchange : bad) EXPECT_NE(checker_.problem(exchange), "") << exchange.body;
  EXPECT_EQ(checker_.succeeded(), std::set<std::string>{"GET /.well-known/status"});
}

using OpenApiByKey = AccessTest;

TEST_F(OpenApiByKey, AKeyThatOnlyReadsGetsItWhole) {
  const std::string reader = key("reader", R"(,"read_only":true)");

  EXPECT_EQ(ask(reader, "GET", "/openapi.json").body, kOpenApi);
  EXPECT_EQ(ask(kRoot, "GET", "/openapi.json").body, kOpenApi);
  EXPECT_EQ(ask("", "GET", "/openapi.json").status, 401);
}

}  // namespace
}  // namespace flynn::controller
