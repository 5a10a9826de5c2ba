// A running controller on a real store, asked over a socket, for tests. Every answer is held against the document.
#pragma once

#include <boost/json.hpp>

#include "companions_test.h"
#include "controller.h"
#include "openapi_checker_test.h"
#include "wire_client_test.h"

namespace flynn::controller {

inline constexpr const char* kAuthorization =
    "Authorization: Basic OnNlY3JldA==\r\n";  // the empty user, password "secret"
inline constexpr const char* kNoTime = "0001-01-01T00:00:00Z";

class WireTest : public testing::Test {
 protected:
  WireTest() {
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
    EXPECT_TRUE(controller_->prepare(std::move(listening)).ok());
    EXPECT_TRUE(controller_->activate().ok());
  }

  static std::string request(const std::string& line, const std::string& body, const std::string& headers) {
    return line + " HTTP/1.1\r\nHost: controller.flynn.localhost\r\n" + headers +
           "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  WireAnswer ask_with(const std::string& headers, const std::string& line, const std::string& body = "") {
    WireConnection connection(port_);
    connection.send(request(line, body, headers));
    auto answer = wire_answer(connection.read_until(""));
    check(line, body, answer);
    return answer;
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
  /// Each answer is one that docs/api/controller.openapi.json allows.
  void check(const std::string& line, const std::string& body, const WireAnswer& answer) {
    const auto space = line.find(' ');
    const auto type = answer.head.find("content-type: ");
    const auto type_end = answer.head.find("\r\n", type);
    const Exchange exchange{line.substr(0, space),
                            line.substr(space + 1),
                            body,
                            answer.status,
                            type == std::string::npos ? "" : answer.head.substr(type + 14, type_end - type - 14),
                            answer.body};
    EXPECT_EQ(checker_.problem(exchange), "") << line << '\n' << answer.head << '\n' << answer.body;
  }
  void stream(WireConnection& connection, const std::string& target) {
    connection.send(request("GET " + target, "", std::string(kAuthorization) + "Accept: text/event-stream\r\n"));
  }

  QuietLog log_;
  CompanionsDoor door_;
  OpenApiChecker checker_;
  std::unique_ptr<Controller> controller_;
  std::uint16_t port_ = 0;
};

}  // namespace flynn::controller
