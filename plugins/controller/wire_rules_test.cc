// What Flynn's last client needs of the wire, over a real socket: all but attach, which needs containers.
#include <boost/json.hpp>

#include "controller.h"
#include "node_door_test.h"
#include "wire_client_test.h"

namespace flynn::controller {
namespace {

constexpr const char* kAuthorization = "Authorization: Basic OnNlY3JldA==\r\n";  // the empty user, password "secret"
constexpr const char* kNoTime = "0001-01-01T00:00:00Z";

class WireRules : public testing::Test {
 protected:
  WireRules() {
    Settings settings;
    settings.data_dir = door_.folder().string();
    settings.auth_keys = {"secret"};
    controller_ = std::make_unique<Controller>(door_, log_, settings, ListenerOptions{}, std::chrono::milliseconds(20));
    EXPECT_TRUE(controller_->start().ok());
    UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));  // as a lent one
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listening.get(), 16), 0);
    EXPECT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_TRUE(controller_->activate(std::move(listening)).ok());
  }

  static std::string request(const std::string& line, const std::string& body, const std::string& headers) {
    return line + " HTTP/1.1\r\nHost: controller.flynn.localhost\r\n" + headers +
           "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  WireAnswer ask_with(const std::string& headers, const std::string& line, const std::string& body = "") {
    WireConnection connection(port_);
    connection.send(request(line, body, headers));
    return wire_answer(connection.read_until(""));
  }
  /// The original client names a type of content even where there is none.
  WireAnswer ask(const std::string& line, const std::string& body = "") {
    return ask_with(std::string(kAuthorization) + "Content-Type: application/json\r\nAccept: application/json\r\n",
                    line, body);
  }
  /// Asks, and expects success with an object.
  json::object object(const std::string& line, const std::string& body = "") {
    const auto answer = ask(line, body);
    EXPECT_EQ(answer.status, 200) << line << ": " << answer.body;
    auto parsed = parse_json_object(answer.body);
    EXPECT_TRUE(parsed.ok()) << line << ": " << answer.body;
    return parsed ? *parsed : json::object{};
  }
  json::object given_an_app(const std::string& name) {
    return object("POST /apps", R"({"name":")" + name + R"(","meta":null})");
  }
  /// As the client of 2021 posts one, with fields of 2014 and zero values.
  std::string given_a_release() {
    const auto artifact = object(
        "POST /artifacts",
        R"({"id":"","type":"flynn","uri":"http://blobstore.discoverd/i.json","manifest":{"meta":null,"entrypoints":{"_default":{}},"rootfs":[]},
      "meta":null,"created_at":"0001-01-01T00:00:00Z"})");
    const auto release = object("POST /releases", R"({"id":"","app_id":"shop","artifacts":[")" +
                                                      text_of(artifact, "id") + R"("],"env":null,"meta":null,
      "processes":{"web":{"cmd":null,"entrypoint":null,"args":["serve"]}},"created_at":"0001-01-01T00:00:00Z"})");
    EXPECT_NE(text_of(release, "created_at"), kNoTime);
    return text_of(release, "id");
  }
  void stream(WireConnection& connection, const std::string& target) {
    connection.send(request("GET " + target, "", std::string(kAuthorization) + "Accept: text/event-stream\r\n"));
  }

  QuietLog log_;
  NodeDoor door_;
  std::unique_ptr<Controller> controller_;
  std::uint16_t port_ = 0;
};

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
