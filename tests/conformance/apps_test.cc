// Apps, releases, scale and deployments as the original client drives them, with real jobs.
#include <algorithm>

#include "wire.h"

namespace flynn::e2e {
namespace {

class Apps : public ConformanceTest {
 protected:
  static std::string text(const json::object& object, const char* member) { return string_or(object, member); }
  static json::object member(const json::object& object, const char* name) {
    const auto* found = find_object(object, name);
    return found != nullptr ? *found : json::object{};
  }
  static json::object scale_body(const std::string& app, const std::string& release, json::object processes) {
    return {{"id", ""},
            {"app", app},
            {"release", release},
            {"state", "pending"},
            {"new_tags", {}},
            {"created_at", nullptr},
            {"updated_at", nullptr},
            {"new_processes", std::move(processes)}};
  }
  /// As `flynn scale`: the stream first, then the request, then until it is complete.
  static std::vector<std::string> scale(const std::string& app, json::object processes) {
    const std::string release = text(release_of(app), "id");
    auto stream = events("app_id=" + app + "&object_types=scale_request,job");
    const auto request =
        object("PUT", "/apps/" + app + "/scale/" + release, scale_body(app, release, std::move(processes)));
    std::vector<std::string> jobs;
    stream.next({}, [&](const json::object& event) {
      const auto data = member(event, "data");
      if (text(event, "object_type") == "job") jobs.push_back(text(data, "type") + " " + text(data, "state"));
      return text(event, "object_id") == text(request, "id") && text(data, "state") == "complete";
    });
    return jobs;
  }
  /// As every command that makes a release: the previous one without its id, with the app's.
  static std::string changed_release(const std::string& app, const std::string& variable, const std::string& value) {
    json::object release = release_of(app);
    release.erase("id");
    release["app_id"] = app;
    json::object env = member(release, "env");
    env[variable] = value;
    release["env"] = env;
    return text(object("POST", "/releases", release), "id");
  }
};

TEST_F(Apps, ScaleAnswersWithBothCountsAndTellsOfEachJob) {
  const std::string app = given_pushed_app();
  scale(app, {{"web", 1}, {"worker", 0}});

  const auto up = scale(app, {{"worker", 2}});
  const auto formation = object("GET", "/apps/" + app + "/formations/" + text(release_of(app), "id"));

  EXPECT_EQ(std::count(up.begin(), up.end(), "worker up"), 2) << up.size();
  EXPECT_EQ(int_or(member(formation, "processes"), "worker", -1), 2);
  EXPECT_EQ(int_or(member(formation, "processes"), "web", -1), 1) << "types that are not named keep their count";
  const auto down = scale(app, {{"worker", 0}});
  EXPECT_EQ(std::count(down.begin(), down.end(), "worker down"), 2) << down.size();
}

TEST_F(Apps, AnEarlierScaleRequestIsCancelledUnderTheNameThatTheClientHears) {
  const std::string app = given_pushed_app(), release = text(release_of(app), "id");
  auto stream = events("app_id=" + app + "&object_types=scale_request");
  const auto first = object("PUT", "/apps/" + app + "/scale/" + release, scale_body(app, release, {{"worker", 3}}));
  const auto second = object("PUT", "/apps/" + app + "/scale/" + release, scale_body(app, release, {{"worker", 0}}));

  stream.next({"scale_request"}, [&](const json::object& event) {
    return text(event, "object_id") == text(first, "id") && text(member(event, "data"), "state") == "cancelled";
  });
  stream.next({"scale_request"}, [&](const json::object& event) {
    return text(event, "object_id") == text(second, "id") && text(member(event, "data"), "state") == "complete";
  });
}

TEST_F(Apps, ADeploymentOfWhatRunsIsFollowedWithItsPast) {
  const std::string app = given_pushed_app();
  scale(app, {{"web", 1}});
  const std::string before = text(release_of(app), "id");
  const std::string release = changed_release(app, "COLOUR", "red");

  const auto deployment = object("POST", "/apps/" + app + "/deploy", json::object{{"id", release}});
  ASSERT_EQ(text(deployment, "finished_at"), "");
  auto stream = events("app_id=" + app + "&object_types=deployment&object_id=" + text(deployment, "id") + "&past=true");
  std::vector<std::string> states;
  stream.next({"deployment"}, [&](const json::object& event) {
    states.push_back(text(member(event, "data"), "status"));
    return states.back() == "complete" || states.back() == "failed";
  });

  ASSERT_GE(states.size(), 2U);
  EXPECT_EQ(states.front(), "pending");
  EXPECT_EQ(states.back(), "complete") << node().log();
  EXPECT_EQ(text(release_of(app), "id"), release);
  EXPECT_EQ(text(object("GET", "/deployments/" + text(deployment, "id")), "status"), "complete");
  const auto releases = list("/apps/" + app + "/releases");
  ASSERT_GE(releases.size(), 2U);
  EXPECT_EQ(text(releases[0].as_object(), "id"), release);
  EXPECT_EQ(text(releases[1].as_object(), "id"), before) << "roll-back takes the second of the list";
  EXPECT_EQ(ask("GET", "/apps/" + app + "/formations/" + before).status, 404);
}

TEST_F(Apps, TheReleaseThatRunsIsDeployedAtOnce) {
  const std::string app = given_pushed_app();
  scale(app, {{"web", 1}});

  const auto again = object("POST", "/apps/" + app + "/deploy", json::object{{"id", text(release_of(app), "id")}});

  EXPECT_NE(text(again, "finished_at"), "");
  const auto unknown =
      ask("POST", "/apps/" + app + "/deploy", json::object{{"id", "11111111-1111-1111-1111-111111111111"}});
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("could not find release with ID"), std::string::npos) << unknown.body;
}

TEST_F(Apps, ALimitIsFilledUpForEveryTypeThatHasNone) {
  const std::string app = given_pushed_app();
  json::object release = release_of(app);
  release.erase("id");
  release["app_id"] = app;
  json::object web = member(member(release, "processes"), "web");
  json::object resources = member(web, "resources");
  resources["memory"] = json::object{{"request", nullptr}, {"limit", 256 << 20}};
  web["resources"] = resources;
  release["processes"].as_object()["web"] = web;

  const auto made = object("POST", "/releases", release);

  const auto memory = member(member(member(member(made, "processes"), "web"), "resources"), "memory");
  EXPECT_EQ(int_or(memory, "limit", -1), 256 << 20);
  EXPECT_EQ(int_or(memory, "request", -1), 256 << 20);
  EXPECT_EQ(int_or(member(member(member(member(made, "processes"), "worker"), "resources"), "max_fd"), "limit", -1),
            10'000);
}

TEST_F(Apps, AnAppIsChangedByWhatTheClientPosts) {
  object("POST", "/apps", json::object{{"name", "posted"}, {"meta", nullptr}});
  const auto whole = object("GET", "/apps/posted");
  object("POST", "/apps/posted", json::object{{"id", "posted"}, {"meta", nullptr}, {"deploy_timeout", 150}});
  json::object with_meta = object("GET", "/apps/posted");
  with_meta["meta"] = json::object{{"colour", "red"}};
  object("POST", "/apps/posted/meta", with_meta);

  const auto changed = object("GET", "/apps/posted");

  EXPECT_EQ(int_or(changed, "deploy_timeout", -1), 150);
  EXPECT_EQ(member(changed, "meta"), (json::object{{"colour", "red"}})) << "the whole map is replaced";
  EXPECT_EQ(text(changed, "strategy"), text(whole, "strategy"));
  const auto unknown = ask("POST", "/apps/posted", json::object{{"colour", "red"}});
  EXPECT_EQ(unknown.status, 400) << unknown.body;
  EXPECT_NE(unknown.body.find("colour"), std::string::npos) << unknown.body;
}

TEST_F(Apps, ADeletedAppTellsWhatWentWithItAndItsStreamOutlivesIt) {
  object("POST", "/apps", json::object{{"name", "doomed"}});
  object("POST", "/apps/doomed/routes",
         json::object{
             {"type", "http"}, {"domain", "doomed.example.com"}, {"service", "doomed-web"}, {"drain_backends", true}});
  object("POST", "/apps/doomed/routes",
         json::object{{"type", "http"},
                      {"domain", "doomed.example.com"},
                      {"path", "/below/"},
                      {"service", "doomed-web"},
                      {"drain_backends", true}});
  auto stream = events("app_id=doomed&object_types=app_deletion");

  EXPECT_EQ(ask("DELETE", "/apps/doomed").status, 200);
  const auto data = member(stream.next("app_deletion"), "data");

  EXPECT_EQ(text(data, "error"), "");
  const auto deletion = member(data, "app_deletion");
  ASSERT_NE(find_array(deletion, "deleted_routes"), nullptr);
  EXPECT_EQ(find_array(deletion, "deleted_routes")->size(), 3U) << json::serialize(deletion);
  EXPECT_EQ(ask("GET", "/apps/doomed").status, 404);
  EXPECT_EQ(EventStream(port(), key(), "/events?app_id=doomed", "0").status(), 404);
}

TEST_F(Apps, ADeletedReleaseTellsItAndTheCurrentOneStays) {
  const std::string app = given_pushed_app();
  const std::string spare = changed_release(app, "SPARE", "1");
  auto stream = events("app_id=" + app + "&object_types=release_deletion&object_id=" + spare);

  EXPECT_EQ(ask("DELETE", "/apps/" + app + "/releases/" + spare).status, 200);
  const auto data = member(stream.next("release_deletion"), "data");

  EXPECT_EQ(text(data, "error"), "");
  EXPECT_EQ(text(member(data, "release_deletion"), "release"), spare);
  const auto current = ask("DELETE", "/apps/" + app + "/releases/" + text(release_of(app), "id"));
  EXPECT_EQ(current.status, 400);
  EXPECT_NE(current.body.find("cannot delete current app release"), std::string::npos) << current.body;
}

TEST_F(Apps, TheSameArtifactKeepsItsId) {
  const json::object artifact{
      {"id", ""},
      {"type", "flynn"},
      {"uri", "https://example.com/image.json"},
      {"meta", nullptr},
      {"manifest", {{"entrypoints", {{"_default", json::object{}}}}, {"rootfs", json::array{}}}}};
  EXPECT_EQ(text(object("POST", "/artifacts", artifact), "id"), text(object("POST", "/artifacts", artifact), "id"));
}

TEST_F(Apps, FormationsAreListedThenWatched) {
  const std::string app = given_pushed_app();
  scale(app, {{"web", 1}, {"worker", 0}});
  EXPECT_EQ(ask("GET", "/formations").status, 400);
  const auto active = list("/formations?active=true");
  EXPECT_TRUE(std::any_of(active.begin(), active.end(),
                          [&](const json::value& one) { return text(member(one.as_object(), "app"), "name") == app; }));
  EventStream stream(port(), key(), "/formations?since=1970-01-01T00:00:00Z", "0");
  bool listed = false;
  stream.next({}, [&](const json::object& item) {
    listed = listed || text(member(item, "app"), "name") == app;
    return item.empty();  // between what is there and what changes
  });
  EXPECT_TRUE(listed);

  const std::string release = text(release_of(app), "id");
  object("PUT", "/apps/" + app + "/formations/" + release, json::object{{"processes", {{"web", 1}, {"worker", 1}}}});
  const auto changed =
      stream.next({}, [&](const json::object& item) { return int_or(member(item, "processes"), "worker", -1) == 1; });
  EXPECT_EQ(text(member(changed, "release"), "id"), release);
  object("PUT", "/apps/" + app + "/formations/" + release, json::object{{"processes", {{"web", 1}, {"worker", 0}}}});
}

TEST_F(Apps, EveryEventIdIsGreaterThanTheOneBefore) {
  given_pushed_app();
  auto stream = events("past=true");
  const auto last = int_or(list("/events?count=1").at(0).as_object(), "id", -1);
  std::int64_t before = 0;
  stream.next({}, [&](const json::object& event) {
    const auto id = int_or(event, "id", -1);
    EXPECT_GT(id, before);
    before = id;
    return id >= last;
  });
}

}  // namespace
}  // namespace flynn::e2e
