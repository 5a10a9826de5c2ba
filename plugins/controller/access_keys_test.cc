// What keys of one app, keys that read and rotated keys may and may not, and what is noted of them.
#include "access_fixture_test.h"
#include "auth.h"

namespace flynn::controller {
namespace {

class AccessKeys : public AccessTest {
 protected:
  AccessKeys() {
    object("POST", "/apps", R"({"name":"shop"})");
    object("POST", "/apps", R"({"name":"bank"})");
    key_ = key("ci", R"(,"app":"shop")");
    foreign_artifact_ = artifact();
    foreign_release_ = release("bank", foreign_artifact_);
  }
  std::string key_, foreign_artifact_, foreign_release_;
};

TEST_F(AccessKeys, OfOneAppTakeNothingOfAnother) {
  const std::string by_id = R"({"id":")" + foreign_release_ + R"("})";
  EXPECT_EQ(ask(key_, "POST", "/apps/shop/deploy", by_id).status, 403);
  EXPECT_EQ(ask(key_, "PUT", "/apps/shop/release", by_id).status, 403);
  EXPECT_EQ(ask(key_, "GET", "/releases/" + foreign_release_).status, 403);
  EXPECT_EQ(ask(key_, "GET", "/apps/shop/formations/" + foreign_release_ + "?expand=true").status, 403);
  EXPECT_EQ(ask(key_, "PUT", "/apps/shop/scale/" + foreign_release_, R"({"new_processes":{"web":1}})").status, 403);
  EXPECT_EQ(ask(key_, "POST", "/apps/shop/jobs", R"({"release":")" + foreign_release_ + R"("})").status, 403);
  const std::string image = R"("artifacts":[")" + foreign_artifact_ + R"("])";
  EXPECT_EQ(ask(key_, "POST", "/releases", R"({"app_id":"shop",)" + image + "}").status, 403);
  EXPECT_EQ(ask(key_, "POST", "/releases", R"({"app_id":"shop","artifact":")" + foreign_artifact_ + R"("})").status,
            403);
  const std::string own = release("shop", artifact());
  EXPECT_EQ(ask(key_, "POST", "/apps/shop/jobs", R"({"release":")" + own + R"(",)" + image + "}").status, 403);
  EXPECT_EQ(ask(key_, "POST", "/apps/shop/deploy", R"({"id":")" + own + R"("})").status, 200);
}

TEST_F(AccessKeys, OfOneAppTakeNoNameOfTheCluster) {
  auto route = [&](const std::string& domain, const std::string& service) {
    const auto answer =
        ask(key_, "POST", "/apps/shop/routes",
            R"({"type":"http","domain":")" + domain + R"(","drain_backends":true,"service":")" + service + R"("})");
    EXPECT_NE(answer.status, 400) << answer.body;
    return answer.status;
  };
  EXPECT_EQ(route("*.flynn.localhost", "shop-web"), 403);
  EXPECT_EQ(route("Controller.Flynn.localhost", "shop-web"), 403);
  EXPECT_EQ(route("flynn.localhost", "shop-web"), 403);
  EXPECT_EQ(route("shop.example.com", "bank-web"), 403);
  EXPECT_EQ(route("shop.example.com", "controller"), 403);
  EXPECT_EQ(route("shop.example.com", "shop-web"), 200);
  EXPECT_EQ(route("beta.shop.flynn.localhost", "shop-web"), 200);
}

TEST_F(AccessKeys, OfOneAppRegisterNoServiceOfAnother) {
  object("POST", "/apps", R"({"name":"shop-admin"})");
  auto release_with = [&](const std::string& by, const std::string& process) {
    return ask(by, "POST", "/releases", R"({"app_id":"shop","processes":{"web":)" + process + "}}");
  };
  const auto port = [](const std::string& service) {
    return R"({"ports":[{"port":0,"proto":"tcp","service":{"name":")" + service + R"(","create":true}}]})";
  };
  for (const char* foreign : {"controller", "gitreceive", "images", "bank-web", "bank", "shop-admin-web", "shop-admin"})
    EXPECT_EQ(release_with(key_, port(foreign)).status, 403) << foreign;
  EXPECT_EQ(release_with(key_, R"({"service":"bank-web"})").status, 403);
  for (const char* own : {"shop-web", "shop", "shop-administration"})
    EXPECT_EQ(release_with(key_, port(own)).status, 200) << own;
  EXPECT_EQ(release_with(kRoot, port("controller")).status, 400) << "the platform's own is nobody's";
  EXPECT_EQ(release_with(kRoot, port("bank-web")).status, 200);
}

TEST_F(AccessKeys, OfOneAppTakeNothingOfAnotherAppsDomain) {
  auto route = [&](const std::string& by, const std::string& app, const std::string& domain, const std::string& path) {
    return ask(by, "POST", "/apps/" + app + "/routes",
               R"({"type":"http","drain_backends":true,"domain":")" + domain + R"(","path":")" + path +
                   R"(","service":")" + app + R"(-web"})");
  };
  ASSERT_EQ(route(kRoot, "bank", "bank.example", "").status, 200);
  ASSERT_EQ(route(kRoot, "bank", "*.wide.example", "").status, 200);
  ASSERT_EQ(route(kRoot, "bank", "deep.narrow.example", "").status, 200);

  EXPECT_EQ(route(key_, "shop", "bank.example", "/login").status, 403);
  EXPECT_EQ(route(key_, "shop", "bank.example", "").status, 403);
  EXPECT_EQ(route(key_, "shop", "www.wide.example", "").status, 403);
  EXPECT_EQ(route(key_, "shop", "*.narrow.example", "").status, 403);
  EXPECT_EQ(route(key_, "shop", "shop.example", "").status, 200);
  EXPECT_EQ(route(key_, "shop", "shop.example", "/login").status, 200);
  const auto duplicate = route(kRoot, "shop", "bank.example", "");
  EXPECT_EQ(duplicate.status, 409);
  EXPECT_EQ(duplicate.body.find("parent_ref"), std::string::npos) << "whose it is, is not told: " << duplicate.body;
  EXPECT_EQ(duplicate.body.find("certificate"), std::string::npos);
}

TEST_F(AccessKeys, AStrangerIsRefusedBeforeItsBody) {
  HttpRequest request;
  request.method = "POST";
  ASSERT_TRUE(parse_target("/releases", request));
  EXPECT_EQ(api_.refuse_stranger(request)->status, 401);
  request.authorization = "Basic " + base64(":" + key_);
  EXPECT_FALSE(api_.refuse_stranger(request));
}

TEST_F(AccessKeys, OfOneAppSeeOneApp) {
  const auto apps = parse_json(ask(key_, "GET", "/apps").body);
  ASSERT_TRUE(apps.ok());
  ASSERT_EQ(apps->as_array().size(), 1U);
  EXPECT_EQ(parse_json(ask(key_, "GET", "/apps?count=1").body)->as_array().size(), 1U);
  EXPECT_EQ(text_of(apps->as_array()[0].as_object(), "name"), "shop");
  auto may_push = [&](const std::string& app) {
    auto who = identify(context_.store, context_.root_keys, "Basic " + base64(":" + key_));
    return who && *who && may_change_app(context_, **who, app);
  };
  EXPECT_TRUE(may_push("shop"));
  EXPECT_FALSE(may_push("bank"));
  EXPECT_FALSE(may_push(""));
}

TEST_F(AccessKeys, ThatOnlyReadSeeNoSecret) {
  const std::string reader = key("auditor", R"(,"read_only":true)");
  for (const std::string& target : {"/releases/" + foreign_release_, std::string("/apps/bank/releases"),
                                    std::string("/releases"), std::string("/events?object_types=release")}) {
    EXPECT_NE(ask(kRoot, "GET", target).body.find("s3cret"), std::string::npos) << target;
    const std::string body = ask(reader, "GET", target).body;
    EXPECT_EQ(body.find("s3cret"), std::string::npos) << target << body;
    EXPECT_NE(body.find(R"("SECRET":"[hidden]")"), std::string::npos) << target << body;
  }
  HttpRequest request;
  request.method = "GET";
  ASSERT_TRUE(parse_target("/events?object_types=release&past=true", request));
  request.accept = "text/event-stream";
  request.authorization = "Basic " + base64(":" + reader);
  const auto stream = api_.handle(request);
  ASSERT_NE(stream.stream, nullptr);
  EXPECT_EQ(stream.stream->head.find("s3cret"), std::string::npos);
  EXPECT_NE(stream.stream->head.find("[hidden]"), std::string::npos);
  context_.hub.publish(json::object{{"id", 999}, {"object_type", "release"}, {"data", {{"env", {{"A", "s3cret"}}}}}});
  std::string live;
  EXPECT_TRUE(stream.stream->feed->take(live));
  EXPECT_EQ(live, sse_data(R"({"id":999,"object_type":"release","data":{"env":{"A":"[hidden]"}}})"));
}

TEST_F(AccessKeys, AreWorthNothingOnceRevokedOrExpired) {
  EXPECT_EQ(ask(key_, "GET", "/apps/shop").status, 200);
  object("DELETE", "/access-keys/ci");
  EXPECT_EQ(ask(key_, "GET", "/apps/shop").status, 401);
  key_ = key("ci", "");  // the name is free again
  EXPECT_EQ(ask(key_, "GET", "/apps/shop").status, 200);

  const std::string short_lived = key("short", R"(,"expires_in":3600)");
  EXPECT_EQ(ask(short_lived, "GET", "/apps").status, 200);
  const std::string id = text_of(object("GET", "/access-keys/short"), "id");
  auto stored = context_.store.get(access_key_key(id));
  (*stored)->value["expires_at"] = format_time(now_ms() - 1);
  ASSERT_FALSE(context_.store.must_commit(Change().put(access_key_key(id), (*stored)->value)));
  EXPECT_EQ(ask(short_lived, "GET", "/apps").status, 401);
}

TEST_F(AccessKeys, AreRotatedWithOrWithoutAnOverlap) {
  const std::string second = text_of(object("POST", "/access-keys/ci/rotate", R"({"overlap":600})"), "key");
  EXPECT_EQ(ask(key_, "GET", "/apps").status, 200);
  EXPECT_EQ(ask(second, "GET", "/apps").status, 200);
  const std::string third = text_of(object("POST", "/access-keys/ci/rotate"), "key");
  EXPECT_EQ(ask(key_, "GET", "/apps").status, 401);
  EXPECT_EQ(ask(second, "GET", "/apps").status, 401);
  EXPECT_EQ(ask(third, "GET", "/apps").status, 200);
}

TEST_F(AccessKeys, AreNeverShownAgain) {
  const std::string secret = key_.substr(key_.rfind('_') + 1);
  EXPECT_EQ(ask(kRoot, "GET", "/access-keys").body.find(secret), std::string::npos);
  EXPECT_EQ(ask(kRoot, "GET", "/access-keys").body.find("hash"), std::string::npos);
  EXPECT_EQ(ask(kRoot, "GET", "/events").body.find(secret), std::string::npos);
  EXPECT_EQ(ask(kRoot, "GET", "/access-log").body.find(secret), std::string::npos);
}

TEST_F(AccessKeys, TheRootKeyIsRotatedInItsFileAlone) {
  EXPECT_EQ(ask(kRoot, "POST", "/access-keys/root/rotate").status, 400);  // it is of the configuration
  const std::string path = (door_.folder() / "auth_key").string();
  auto first = read_or_make_key(path);
  ASSERT_TRUE(first.ok());
  context_.root_keys.set({*first}, path);
  auto rotated = parse_json_object(ask(*first, "POST", "/access-keys/root/rotate").body);
  ASSERT_TRUE(rotated.ok());
  EXPECT_EQ(ask(*first, "GET", "/apps").status, 401);
  EXPECT_EQ(ask(text_of(*rotated, "key"), "GET", "/apps").status, 200);
  EXPECT_EQ(*read_or_make_key(path), text_of(*rotated, "key"));
}

TEST_F(AccessKeys, ARootKeyThatAnotherInstanceRotatedCountsOnceItIsReadAnew) {
  const std::string path = (door_.folder() / "auth_key").string();
  RootKeys mine, others;
  ASSERT_TRUE(mine.use_file(path).ok());
  ASSERT_TRUE(others.use_file(path).ok());
  const auto first = read_or_make_key(path);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(mine.matches(*first));
  const auto rotated = others.rotate();
  ASSERT_TRUE(rotated.ok());

  mine.reload();

  EXPECT_TRUE(mine.matches(*rotated));
  EXPECT_FALSE(mine.matches(*first));
  mine.reload();
  EXPECT_TRUE(mine.matches(*rotated));
}

TEST_F(AccessKeys, EachUseIsInTheAccessLog) {
  ask(key_, "GET", "/apps/shop?secret=x");
  ask(key_, "DELETE", "/apps/bank");
  ask(key_, "GET", "/apps/with%0Aline%2Fslash");
  ask("wrong", "GET", "/apps/shop");

  const auto log = object("GET", "/access-log?key=ci");
  EXPECT_EQ(text_of(log, "chain"), "whole");
  const auto lines = array_of(log, "lines");
  ASSERT_EQ(lines.size(), 3U) << json::serialize(log);
  const auto& refused = lines[1].as_object();
  EXPECT_EQ(text_of(refused, "method"), "DELETE");
  EXPECT_EQ(text_of(refused, "path"), "/apps/bank");
  EXPECT_EQ(text_of(refused, "name"), "ci");
  EXPECT_EQ(number_of(refused, "status"), 403);
  EXPECT_EQ(text_of(lines[2].as_object(), "path"), "/apps/shop");
  EXPECT_EQ(text_of(lines[0].as_object(), "path"), "/apps/with?line%2Fslash");
}

TEST_F(AccessTest, TellsAnotherPluginWhatAKeyMaySend) {
  const auto app = text_of(object("POST", "/apps", R"({"name":"shop"})"), "id");
  const auto of_app = key("ci", R"(,"app":"shop")"), reader = key("look", R"(,"read_only":true)");
  HttpRequest wanted;
  wanted.method = "POST";
  ASSERT_TRUE(parse_target("/artifacts", wanted));
  const auto check = [&](const std::string& password) {
    auto who = identify(context_.store, context_.root_keys, "Basic " + base64(":" + password));
    EXPECT_TRUE(who && *who) << password;
    return api_.check(**who, wanted);
  };

  EXPECT_FALSE(check(kRoot));
  EXPECT_EQ(check(of_app)->status, 403);
  EXPECT_EQ(check(reader)->status, 403);
  wanted.segments = {"apps", app};
  EXPECT_FALSE(check(of_app));
}

}  // namespace
}  // namespace flynn::controller
