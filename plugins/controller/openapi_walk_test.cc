// One of everything over the socket: what the server really answers is what the document says.
#include "access_fixture_test.h"
#include "wire_fixture_test.h"

namespace flynn::controller {
namespace {

constexpr std::chrono::seconds kPatience{20};
constexpr const char* kProcesses = R"({"web":{"args":["serve"],"cmd":null,"env":{"A":"1"},
  "ports":[{"port":0,"proto":"tcp","service":{"name":"shop-web","create":true,"check":{"type":"http","path":"/",
    "interval":1000000000,"threshold":2,"kill_down":true,"status":200,"match":null}}}],
  "volumes":[{"path":"/data","delete_on_stop":false}],"resurrect":true,"later_member":[1],
  "resources":{"memory":{"request":null,"limit":268435456},"max_procs":{"request":null,"limit":null}}}})";

class OpenApiWalk : public WireTest {
 protected:
  OpenApiWalk() { given_the_world(); }

  static std::string quoted(const std::string& text) { return json::serialize(json::value(text)); }
  static std::string by_id(const std::string& id) { return R"({"id":)" + quoted(id) + "}"; }
  json::array list(const std::string& target) {
    const auto answer = ask("GET " + target);
    EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
    auto parsed = parse_json(answer.body);
    return parsed && parsed->is_array() ? parsed->get_array() : json::array{};
  }
  void done(const std::string& line, const std::string& body = "") {
    const auto answer = ask(line, body);
    EXPECT_EQ(answer.status, 200) << line << ": " << answer.body;
  }
  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = Deadline::after(kPatience);
    while (!holds()) {
      if (deadline.passed()) return false;
      ::poll(nullptr, 0, 5);
    }
    return true;
  }
  void expect_event(const std::string& type) {
    EXPECT_TRUE(eventually([&] { return !list("/events?count=1&object_types=" + type).empty(); })) << type;
  }
  /// Checks what a stream says up to the event in which `words` stand.
  void watch(const std::string& target, const std::string& words) {
    WireConnection connection(port_);
    stream(connection, target);
    connection.read_until(words);
    auto answer = wire_answer(connection.read_until("\n\n"));
    EXPECT_NE(answer.head.find("text/event-stream"), std::string::npos) << answer.head;
    answer.body.resize(answer.body.rfind("\n\n") + 2);
    check("GET " + target, "", answer);
  }
  void upgrade(const std::string& line, const std::string& protocol, const std::string& body) {
    WireConnection connection(port_);
    connection.send(line + " HTTP/1.1\r\nHost: c\r\n" + kAuthorization +
                    "Content-Type: application/json\r\nConnection: upgrade\r\nUpgrade: " + protocol +
                    "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    const auto answer = wire_answer(connection.read_until("\r\n\r\n"));
    EXPECT_EQ(answer.status, 101) << line << ": " << answer.head;
    check(line, body, answer);
  }
  std::string new_release() {
    return text_of(
        object("POST /releases", R"({"app_id":"shop","artifacts":[)" + quoted(image_) +
                                     R"(],"env":{"A":"1"},"meta":{"git":"true"},"processes":)" + kProcesses + "}"),
        "id");
  }
  void given_the_world() {
    EXPECT_TRUE(eventually([&] { return ask("GET /ca-cert").status == 200; }));
    app_ = text_of(given_an_app("shop"), "id");
    image_ = text_of(object("POST /artifacts", R"({"type":"flynn","uri":"http://blobstore/i.json","size":12,
      "hashes":{"sha512_256":"00"},"layer_url_template":"http://blobstore/{id}","meta":{"blobstore":"true"},
      "manifest":{"_type":"application/vnd.flynn.image.manifest.v1+json","entrypoints":{"_default":{"args":["x"]}},
        "rootfs":[{"layers":[{"id":")" + std::string(64, 'a') +
                                                   R"(","length":1}]}]}})"),
                     "id");
    release_ = new_release();
    done("PUT /apps/shop/release", by_id(release_));
  }

  void walk_status_and_apps() {
    done("GET /ping");
    done("GET /.well-known/status");
    done("GET /openapi.json");
    EXPECT_GE(list("/apps?count=5").size(), 1U);
    done("GET /apps/shop");
    done("POST /apps/shop", R"({"deploy_timeout":150,"meta":null})");
    done("POST /apps/shop/meta", R"({"meta":{"owner":"us","flynn-deploy-batch-size":"2"}})");
    done("GET /apps/shop/explain");
    done("GET /apps/shop/log");
    const auto log = ask_with(std::string(kAuthorization) + "Accept: text/event-stream\r\n", "GET /apps/shop/log");
    EXPECT_NE(log.body.find("listening"), std::string::npos) << log.body;
  }
  void walk_releases_and_formations() {
    EXPECT_GE(list("/artifacts").size(), 1U);
    done("GET /artifacts/" + image_);
    EXPECT_GE(list("/releases").size(), 1U);
    done("GET /releases/" + release_);
    EXPECT_EQ(list("/apps/shop/releases?count=10").size(), 1U);
    done("GET /apps/shop/release");
    const std::string formation = "/apps/shop/formations/" + release_;
    done("PUT " + formation, R"({"processes":{"web":1},"tags":{"web":{"disk":"ssd"}}})");
    done("GET " + formation);
    done("GET " + formation + "?expand=true");
    EXPECT_EQ(list("/apps/shop/formations").size(), 1U);
    EXPECT_EQ(list("/formations?active=true").size(), 1U);
    done("PUT /apps/shop/scale/" + release_, R"({"new_processes":{"web":2},"new_tags":{}})");
    done("PUT /apps/shop/scale/" + release_, R"({"id":"","state":"pending","new_processes":{"web":1}})");
    watch("/formations", "data: {}");
  }
  void walk_deployments() {
    const auto deployment = object("POST /apps/shop/deploy", by_id(new_release()));
    EXPECT_EQ(text_of(deployment, "old_release"), release_);
    EXPECT_EQ(number_of(deployment, "deploy_batch_size"), 2);
    EXPECT_EQ(list("/apps/shop/deployments").size(), 1U);
    done("GET /deployments/" + text_of(deployment, "id"));
  }
  std::string given_a_job(json::object more) {
    const std::string id = new_uuid(), now = "2026-01-31T12:00:00.000Z";
    json::object status{{"v", 1},          {"id", id},          {"host_id", "host0"}, {"app_id", app_},
                        {"app_name", "s"}, {"type", "web"},     {"kind", "service"},  {"release_id", release_},
                        {"args", {"run"}}, {"started_at", now}, {"created_at", now},  {"updated_at", now}};
    for (auto& entry : more) status[entry.key()] = entry.value();
    door_.put_job_status(status);
    EXPECT_TRUE(eventually([&] { return ask("GET /apps/shop/jobs/" + id).status == 200; }));
    return id;
  }
  void walk_jobs() {
    const std::string job = "/apps/shop/jobs/" + given_a_job({{"state", "up"}, {"addr", "127.0.0.1"}});
    given_a_job({{"state", "down"}, {"exit_status", 137}, {"oom", true}});
    EXPECT_EQ(list("/apps/shop/jobs").size(), 2U);
    EXPECT_EQ(list("/active-jobs").size(), 1U);
    done("PUT " + job, "{}");
    const std::string run = R"({"release":)" + quoted(release_) + R"(,"release_env":true,"args":["echo"],"cmd":["x"]})";
    done("POST /apps/shop/jobs", run);
    upgrade("POST /apps/shop/jobs", "flynn-attach/0", run);
    upgrade("POST " + job + "/exec", "flynn-attach/0", R"({"args":["ls"],"tty":false})");
    upgrade("POST " + job + "/port/" + std::to_string(port_), "flynn-tcp/0", "");
    EXPECT_EQ(ask("POST " + job + "/port/1").status, 501);
    done("DELETE " + job);
    expect_event("job");
  }
  void walk_routes() {
    const auto stored = door_.call("flynn.store/1", "Get", {{"key", "routes/certificate"}});
    ASSERT_TRUE(stored.ok());
    const auto pair = object_of(object_of(stored->body, "kv"), "value");
    const std::string tls =
        R"(,"tls_cert":)" + quoted(text_of(pair, "cert")) + R"(,"tls_key":)" + quoted(text_of(pair, "key"));
    const std::string domain = R"("domain":"shop.example.com","service":"shop-web")";
    const auto http =
        object("POST /apps/shop/routes", R"({"type":"http","drain_backends":true,"path":"",)" + domain + tls + "}");
    EXPECT_TRUE(http.contains("certificate"));
    done("POST /apps/shop/routes", R"({"type":"tcp","port":0,"service":"shop-db","leader":true})");
    EXPECT_EQ(ask("POST /apps/shop/routes", R"({"type":"http","drain_backends":true,)" + domain + "}").status, 409);
    EXPECT_EQ(list("/apps/shop/routes").size(), 3U);
    EXPECT_GE(list("/routes").size(), 3U);
    const std::string route = "/apps/shop/routes/http/" + text_of(http, "id");
    done("GET " + route);
    done("PUT " + route, "{" + domain + R"(,"sticky":true})");
    done("PUT /apps/shop/maintenance", R"({"maintenance":true})");
    done("GET /apps/shop/maintenance");
    done("DELETE " + route);
  }
  void walk_resources() {
    given_an_app("other");
    done("POST /providers", R"({"name":"db","url":"flynn.database/1"})");
    EXPECT_EQ(list("/providers").size(), 1U);
    done("GET /providers/db");
    done("POST /providers/db/resources", R"({"apps":["shop"],"config":null})");
    const std::string resource = "/providers/db/resources/" + new_uuid();
    done("PUT " + resource, R"({"external_id":"x","env":{"URL":"u"},"apps":["shop"]})");
    done("GET " + resource);
    done("PUT " + resource + "/apps/other");
    EXPECT_EQ(list("/providers/db/resources").size(), 2U);
    EXPECT_EQ(list("/apps/other/resources").size(), 1U);
    EXPECT_EQ(list("/resources").size(), 2U);
    done("DELETE " + resource + "/apps/other");
    done("DELETE " + resource);
  }
  void walk_volumes() {
    door_.add_volume(app_, "data");
    const std::string id = app_ + ".data";
    EXPECT_EQ(list("/volumes").size(), 1U);
    EXPECT_EQ(list("/apps/shop/volumes").size(), 1U);
    watch("/volumes", "data: {}");
    done("GET /apps/shop/volumes/" + id);
    done("PUT /volumes/" + id, "{}");
    done("PUT /apps/shop/volumes/" + id + "/decommission", R"({"id":"","state":""})");
  }
  void walk_sinks_and_keys() {
    const auto sink = object(
        "POST /sinks", R"({"id":"","kind":"syslog","config":{"url":"syslog://h:514","format":"rfc6587","more":1}})");
    EXPECT_EQ(list("/sinks").size(), 1U);
    watch("/sinks", "data: {}");
    done("GET /sinks/" + text_of(sink, "id"));
    done("DELETE /sinks/" + text_of(sink, "id"));
    const std::string blob = std::string("\0\0\0\x0bssh-ed25519\0\0\0\x20", 19) + std::string(32, 'k');
    const auto key = object("POST /keys", R"({"key":"ssh-ed25519 )" + base64(blob) + R"( me@here"})");
    EXPECT_EQ(list("/keys").size(), 1U);
    done("GET /keys/" + text_of(key, "fingerprint"));
    done("DELETE /keys/" + text_of(key, "fingerprint"));
    done("POST /access-keys", R"({"name":"ci","app":"shop","read_only":true,"expires_in":3600})");
    EXPECT_EQ(list("/access-keys").size(), 1U);
    done("GET /access-keys/ci");
    done("POST /access-keys/ci/rotate", R"({"overlap":60})");
    done("DELETE /access-keys/ci");
    done("GET /access-log?count=20");
  }
  void walk_backup() {
    const std::string line = "GET /backup?layers=none";
    const auto archive = ask_with(std::string(kAuthorization) + "Accept: application/tar\r\n", line);
    EXPECT_EQ(archive.status, 200) << archive.body;
    EXPECT_NE(archive.body.find("flynn.json"), std::string::npos);
    EXPECT_EQ(text_of(object("GET /backup"), "status"), "complete");
    expect_event("cluster_backup");
  }
  void walk_domain() {
    const std::string domain = text_of(
        object_of(door_.call("flynn.store/1", "Get", {{"key", "cluster/config"}})->body, "kv").at("value").as_object(),
        "domain");
    done("PUT /domain", R"({"domain":"new.example.com","old_domain":)" + quoted(domain) + "}");
    EXPECT_TRUE(eventually([&] { return list("/events?object_types=domain_migration").size() >= 2; }));
  }
  void walk_ends() {
    done("DELETE /apps/shop/formations/" + release_);
    done("DELETE /apps/shop/releases/" + new_release());
    expect_event("release_deletion");
    done("POST /apps/shop/gc");
    expect_event("app_garbage_collection");
    done("DELETE /apps/shop");
    expect_event("app_deletion");
  }
  void walk_events() {
    const auto events = list("/events");
    ASSERT_FALSE(events.empty());
    done("GET /events/" + std::to_string(number_of(events.front().as_object(), "id")));
    watch("/events?past=true", R"("object_type":"app_deletion")");
    std::set<std::string> missing, seen;
    for (const json::value& event : events) seen.insert(text_of(event.as_object(), "object_type"));
    const auto& types = checker_.resolve("#/components/schemas/Event/discriminator/mapping")->as_object();
    for (const auto& type : types) {
      if (!seen.contains(std::string(type.key()))) missing.emplace(type.key());
    }
    EXPECT_EQ(missing, std::set<std::string>{});
  }
  std::set<std::string> not_walked() {
    std::set<std::string> out;
    for (const auto& path : checker_.document().at("paths").as_object()) {
      for (const auto& operation : path.value().as_object()) {
        std::string method(operation.key());
        for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
        if (const std::string name = method + " " + std::string(path.key()); !checker_.succeeded().contains(name))
          out.insert(name);
      }
    }
    return out;
  }

  std::string app_, image_, release_;
};

TEST_F(OpenApiWalk, OneOfEverythingIsAsTheDocumentSays) {
  walk_status_and_apps();
  walk_releases_and_formations();
  walk_deployments();
  walk_jobs();
  walk_routes();
  walk_resources();
  walk_volumes();
  walk_sinks_and_keys();
  walk_backup();
  walk_domain();
  walk_ends();
  walk_events();

  EXPECT_EQ(not_walked(), std::set<std::string>{});
}

TEST_F(OpenApiWalk, MembersOfAnotherTypeAreRefusedWhereTheyWouldBeKept) {
  struct Case {
    std::string line, body;
  };
  const std::string one_process = R"({"app_id":"shop","processes":{"web":)";
  for (const Case& refused :
       {Case{"POST /releases", one_process + R"({"args":"serve"}}})"},
        Case{"POST /releases", one_process + R"({"ports":[{"port":"80"}]}}})"},
        Case{"POST /releases", one_process + R"({"ports":[{"service":{"check":{"interval":"1s"}}}]}}})"},
        Case{"POST /releases", one_process + R"({"volumes":["/data"]}}})"},
        Case{"POST /releases", one_process + R"({"resources":{"memory":{"limit":"1GB"}}}}})"},
        Case{"POST /artifacts", R"({"type":"file","uri":"u","size":"1"})"},
        Case{"POST /artifacts", R"({"type":"file","uri":"u","meta":{"a":1}})"},
        Case{"PUT /apps/shop/formations/" + release_, R"({"processes":{"web":0.5}})"},
        Case{"PUT /apps/shop/formations/" + release_, R"({"processes":{"web":1},"tags":{"web":{"disk":1}}})"},
        Case{"PUT /apps/shop/scale/" + release_, R"({"new_processes":{"web":1},"new_tags":{"web":"ssd"}})"},
        Case{"POST /apps/shop/jobs", R"({"release":)" + quoted(release_) + R"(,"meta":{"a":1}})"},
        Case{"POST /sinks", R"({"kind":"syslog","config":{"url":"syslog://h","insecure":"yes"}})"}}) {
    const auto answer = ask(refused.line, refused.body);
    EXPECT_EQ(answer.status, 400) << refused.line << refused.body << answer.body;
    EXPECT_NE(answer.body.find("validation_error"), std::string::npos) << answer.body;
  }
}

}  // namespace
}  // namespace flynn::controller
