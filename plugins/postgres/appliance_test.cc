#include "appliance.h"

#include <gtest/gtest.h>

#include <map>

#include "flynn/sdk/stream.h"

namespace flynn::postgres {
namespace {

// A controller, store and discovery that remember what the appliance asks of them and answer as the real ones do.
class FakePlatform : public Door {
 public:
  using Door::call;

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline,
                     const std::vector<int>&) override {
    if (interface == "flynn.store/1") return cluster_config();
    if (interface == "flynn.discovery/1") return method == "Watch" ? watch() : instances();
    return controller(string_or(body, "method"), string_or(body, "path"), body);
  }

  std::map<std::string, json::value> objects;  // by path
  std::vector<std::string> posts;
  bool server_comes_up = true;
  json::array layers{json::object{{"id", std::string(64, 'a')}, {"length", 1}}};

 private:
  Result<Reply> cluster_config() {
    return Reply{{{"kv", json::object{{"value", json::object{{"stacks", json::object{{"postgres", layers}}}}}}}}};
  }

  json::object instance() const { return {{"id", "j1"}, {"addr", "10.9.0.2:5432"}}; }

  Result<Reply> watch() {
    auto ends = make_stream();
    std::string text;
    if (server_comes_up)
      text = json::serialize(json::object{{"kind", "up"}, {"service", "postgres"}, {"instance", instance()}}) + "\n";
    (void)write_all(ends->first.get(), text + "{\"kind\":\"current\"}\n", Deadline::none());
    kept_.push_back(std::move(ends->first));
    return Reply{{}, std::move(ends->second)};
  }

  Result<Reply> instances() {
    json::array list;
    if (server_comes_up) list.push_back(instance());
    return Reply{{{"instances", list}, {"leader", nullptr}}};
  }

  Result<Reply> controller(const std::string& method, const std::string& path, const json::object& request) {
    const auto answer = [](json::value body) { return Reply{{{"status", 200}, {"body", std::move(body)}}}; };
    const json::object body = find_object(request, "body") ? *find_object(request, "body") : json::object{};
    if (method == "GET") {
      const auto found = objects.find(path);
      if (found == objects.end()) return Reply{{{"status", 404}, {"body", nullptr}}};
      return answer(found->second);
    }
    if (method == "POST") {
      posts.push_back(path);
      json::object made = body;
      made["id"] = "id-" + std::to_string(posts.size());
      if (path == "/apps") objects["/apps/postgres"] = made;
      if (path == "/releases") objects["release " + string_or(made, "id")] = made;
      return answer(made);
    }
    if (path == "/apps/postgres/release") {
      objects[path] = objects["release " + string_or(body, "id")];
      return answer(json::object{});
    }
    objects[path] = body;
    return answer(body);
  }

  std::vector<UniqueFd> kept_;
};

TEST(Appliance, MakesAppArtifactReleaseAndFormationTheFirstTime) {
  FakePlatform platform;
  Appliance appliance(platform, {});

  const auto server = appliance.ensure_server(Deadline::after(5s));

  ASSERT_TRUE(server.ok()) << server.error().message;
  EXPECT_EQ(server->host, "10.9.0.2");
  EXPECT_EQ(server->port, 5432);
  EXPECT_EQ(server->password.size(), 48u);
  EXPECT_EQ(platform.posts, (std::vector<std::string>{"/apps", "/artifacts", "/releases"}));
  const auto& app = platform.objects["/apps/postgres"].as_object();
  EXPECT_EQ(string_or(app, "strategy"), "one-down-one-up") << "two servers must never share the volume";
}

TEST(Appliance, UsesWhatIsThereTheSecondTime) {
  FakePlatform platform;
  Appliance appliance(platform, {});
  const auto first = appliance.ensure_server(Deadline::after(5s));

  const auto second = Appliance(platform, {}).ensure_server(Deadline::after(5s));

  EXPECT_EQ(platform.posts.size(), 3u);
  EXPECT_EQ(second->password, first->password);
}

TEST(Appliance, SaysThatTheServerDidNotComeUpInTime) {
  FakePlatform platform;
  platform.server_comes_up = false;

  const auto server = Appliance(platform, {}).ensure_server(Deadline::after(50ms));

  EXPECT_EQ(server.error().code, Code::unavailable);
  EXPECT_NE(server.error().message.find("flynn -a postgres log"), std::string::npos);
}

TEST(Appliance, SaysThatTheClusterHasNoPostgresStack) {
  FakePlatform platform;
  platform.layers.clear();

  EXPECT_EQ(Appliance(platform, {}).ensure_server(Deadline::after(5s)).error().code, Code::failed_precondition);
}

}  // namespace
}  // namespace flynn::postgres
