// An API over a real store, asked with keys of every kind, for tests.
#pragma once

#include <gtest/gtest.h>

#include "access_check.h"
#include "api.h"
#include "auth.h"
#include "node_door_test.h"
#include "openapi_checker_test.h"

namespace flynn::controller {
inline std::string base64(const std::string& text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

class AccessTest : public testing::Test {
 protected:
  AccessTest() : context_(door_, log_, settings(), [] {}), api_(context_) {
    context_.later = [](auto, auto) {};
  }

  Settings settings() const {
    Settings out;
    out.data_dir = door_.folder().string();
    out.auth_keys = {kRoot};
    return out;
  }
  HttpResponse ask(const std::string& key, const std::string& method, const std::string& target,
                   const std::string& body = "{}") {
    HttpRequest request;
    request.method = method;
    EXPECT_TRUE(parse_target(target, request)) << target;
    request.accept = request.content_type = "application/json";
    if (!key.empty()) request.authorization = "Basic " + base64(":" + key);
    request.body = body;
    HttpResponse answer = api_.handle(request);
    if (answer.stream == nullptr && checks_answers_) {
      EXPECT_EQ(checker_.problem({method, target, body, answer.status, answer.content_type, answer.body}), "")
          << method << ' ' << target << ": " << answer.body;
    }
    return answer;
  }
  json::object object(const std::string& method, const std::string& target, const std::string& body = "{}") {
    const auto answer = ask(kRoot, method, target, body);
    EXPECT_EQ(answer.status, 200) << method << ' ' << target << ": " << answer.body;
    auto parsed = parse_json_object(answer.body);
    return parsed ? *parsed : json::object{};
  }
  std::string key(const std::string& name, const std::string& rest) {
    return text_of(object("POST", "/access-keys", R"({"name":")" + name + '"' + rest + "}"), "key");
  }
  std::string artifact() {
    return text_of(object("POST", "/artifacts",
                          R"({"type":"flynn","uri":"http://b/)" + new_uuid() + R"(","manifest":{"rootfs":[]}})"),
                   "id");
  }
  std::string release(const std::string& app, const std::string& artifact_id) {
    return text_of(object("POST", "/releases",
                          R"({"app_id":")" + app + R"(","artifacts":[")" + artifact_id +
                              R"("],"env":{"SECRET":"s3cret"},"processes":{"web":{"args":["serve"]}}})"),
                   "id");
  }

  static constexpr const char* kRoot = "root-key";
  QuietLog log_;
  NodeDoor door_;
  Context context_;
  Api api_;
  OpenApiChecker checker_;
  bool checks_answers_ = true;  // hundreds of long lists take minutes: once each is enough
};

}  // namespace flynn::controller
