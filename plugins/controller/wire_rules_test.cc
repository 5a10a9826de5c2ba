// What Flynn's last client needs of the wire, over a real socket: all but attach, which needs containers.
#include "wire_fixture_test.h"

namespace flynn::controller {
namespace {

using WireRules = WireTest;

TEST_F(WireRules, SuccessIsAlways200) {
  given_an_app("shop");
  const auto release = given_a_release();

  EXPECT_EQ(ask("POST /apps/shop/deploy", R"({"id":")" + release + R"("})").status, 200);
  EXPECT_EQ(ask("PUT /apps/shop/release", R"({"id":")" + release + R"("})").status, 200);
  EXPECT_EQ(ask("PUT /apps/shop/formations/" + release, R"({"processes":{"web":0}})").status, 200);
  EXPECT_EQ(ask("DELETE /apps/shop/formations/" + release).status, 200);
  EXPECT_EQ(ask("DELETE /apps/shop").status, 200);
}

TEST_F(WireRules, WhatIsNotFoundIsNoJson) {
  given_an_app("shop");

  for (const char* target : {"/apps/none", "/apps/shop/release", "/apps/shop/formations/none", "/releases/none",
                             "/deployments/none", "/providers/none", "/events/99999999", "/no/such/path"}) {
    const auto answer = ask(std::string("GET ") + target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_EQ(answer.head.find("json"), std::string::npos) << target << ": " << answer.head;
  }
}

TEST_F(WireRules, AnUnknownKeyIsABare401) {
  for (const char* headers : {"", "Authorization: Basic Ondyb25n\r\n", "Authorization: Bearer secret\r\n"}) {
    const auto answer = ask_with(headers, "GET /apps");
    EXPECT_EQ(answer.status, 401) << headers;
    EXPECT_EQ(answer.body, "") << headers;
  }
  EXPECT_EQ(ask_with("", "GET /ping").status, 200);
}

TEST_F(WireRules, AKeepAliveIsALoneLine) {
  given_an_app("shop");
  WireConnection connection(port_);
  stream(connection, "/events?app_id=shop");

  const auto seen = connection.read_until(":\n:\n:\n");

  EXPECT_EQ(seen.find(":\n\n"), std::string::npos) << seen;
}

TEST_F(WireRules, AStreamHasItsHeadBeforeAnyEvent) {
  given_an_app("shop");
  WireConnection connection(port_);
  stream(connection, "/events?app_id=shop&object_types=app");

  const auto head = wire_answer(connection.read_until("\r\n\r\n"));
  EXPECT_EQ(head.status, 200);
  EXPECT_NE(head.head.find("text/event-stream"), std::string::npos) << head.head;
  EXPECT_EQ(head.body.find("data:"), std::string::npos) << head.body;

  EXPECT_EQ(ask("POST /apps/shop/meta", R"({"name":"shop","meta":{"told":"yes"}})").status, 200);
  connection.read_until(R"("told":"yes")");
}

TEST_F(WireRules, AnAppIsFoundByItsNameOrIdAnywhere) {
  const auto id = text_of(given_an_app("shop"), "id");
  std::string undashed = id;
  std::erase(undashed, '-');

  for (const std::string& app : {std::string("shop"), id, undashed}) {
    EXPECT_EQ(text_of(object("GET /apps/" + app), "id"), id) << app;
    EXPECT_NE(ask("GET /events?app_id=" + app).body.find(R"("object_type":"app")"), std::string::npos) << app;
  }
}

TEST_F(WireRules, ADeploymentOfWhatDoesNotRunHasEnded) {
  given_an_app("shop");

  const auto deployment = object("POST /apps/shop/deploy", R"({"id":")" + given_a_release() + R"("})");

  EXPECT_NE(text_of(deployment, "finished_at"), "");
  EXPECT_EQ(text_of(deployment, "status"), "complete");
}

TEST_F(WireRules, AScaleRequestComesBackWithANewIdAndBothCounts) {
  given_an_app("shop");
  const auto release = given_a_release();
  object("PUT /apps/shop/release", R"({"id":")" + release + R"("})");
  const std::string line = "PUT /apps/shop/scale/" + release;

  const auto first = object(line, R"({"id":"","new_processes":{"web":1}})");
  const auto second = object(line, R"({"id":")" + text_of(first, "id") + R"(","new_processes":{"web":2}})");

  EXPECT_NE(text_of(first, "id"), "");
  EXPECT_NE(text_of(first, "id"), text_of(second, "id"));
  EXPECT_EQ(number_of(object_of(second, "old_processes"), "web"), 1);
  EXPECT_EQ(number_of(object_of(second, "new_processes"), "web"), 2);
}

TEST_F(WireRules, NullsZeroTimesAndForeignFieldsAreTaken) {
  const auto app = object("POST /apps", R"({"id":"","name":"shop","meta":null,"strategy":"","release":"",
    "created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z","no_such_field":1})");
  EXPECT_NE(text_of(app, "created_at"), kNoTime);
  EXPECT_NE(given_a_release(), "");

  const auto changed = object("POST /apps/shop", R"({"id":"shop","meta":null,"deploy_timeout":150})");

  EXPECT_EQ(number_of(changed, "deploy_timeout"), 150);
  EXPECT_EQ(object_of(changed, "meta"), object_of(app, "meta"));
  EXPECT_EQ(text_of(changed, "id"), text_of(app, "id"));
}

TEST_F(WireRules, EmptyListsAreArraysAndMetaIsAnObject) {
  EXPECT_TRUE(given_an_app("shop").at("meta").is_object());

  for (const char* target :
       {"/apps/shop/releases", "/apps/shop/formations", "/apps/shop/jobs", "/apps/shop/deployments",
        "/apps/shop/resources", "/releases", "/artifacts", "/providers", "/resources", "/keys", "/active-jobs"}) {
    const auto answer = ask(std::string("GET ") + target);
    EXPECT_EQ(answer.status, 200) << target;
    EXPECT_EQ(answer.body, "[]") << target;
  }
}

TEST_F(WireRules, ARefusalHasACodeAndIsNotRepeated) {
  given_an_app("shop");
  struct Case {
    const char *line, *body, *code;
    int status;
  };
  for (const Case& refused : {Case{"POST /apps", R"({"name":"shop"})", "object_exists", 409},
                              Case{"POST /apps", R"({"name":"A b"})", "validation_error", 400},
                              Case{"POST /apps", "{", "syntax_error", 400}}) {
    const auto answer = ask(refused.line, refused.body);
    EXPECT_EQ(answer.status, refused.status) << refused.body;
    const auto error = parse_json_object(answer.body);
    ASSERT_TRUE(error.ok()) << answer.body;
    EXPECT_EQ(text_of(*error, "code"), refused.code);
    EXPECT_FALSE(flag_of(*error, "retry"));
  }
}

TEST_F(WireRules, ABodyOfAnotherTypeIsRefused) {
  const auto answer = ask_with(std::string(kAuthorization) + "Content-Type: text/plain\r\n", "POST /apps", "{}");

  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("validation_error"), std::string::npos) << answer.body;
}

TEST_F(WireRules, TheStatusNamesAVersionThatTheClientTakesForNew) {
  const auto data = object_of(object("GET /.well-known/status"), "data");

  EXPECT_TRUE(text_of(data, "version").starts_with("v2021")) << text_of(data, "version");
}

}  // namespace
}  // namespace flynn::controller
