#include "api_node_test.h"

namespace flynn::host {
namespace {

class HostApiTest : public HostApiNode {
 protected:
  // As Flynn's clients describe one.
  static json::object wire_job(const std::string& app, const std::string& layer) {
    return {{"mountspecs", json::array{json::object{{"type", "squashfs"}, {"id", layer}, {"size", 4}}}},
            {"metadata", json::object{{"flynn-controller.app", app}}},
            {"config", json::object{{"args", json::array{"run"}}}}};
  }
  // The scheduler may not lead the cell yet, nor have seen this host: those answers say retry.
  Answer ask_until_led(const std::string& what, const json::object& body = {}) {
    const auto deadline = Deadline::after(20s);
    StopSignal never;
    while (true) {
      auto answer = ask(what, json::serialize(body));
      const bool early = answer.status == 503 || answer.body.find("is not up") != std::string::npos ||
                         answer.body.find("no host") != std::string::npos;
      if (!early || deadline.passed()) return answer;
      never.wait(20);
    }
  }
};

TEST_F(HostApiTest, TellsEventsAsTheJobChangesAndThenTheJobItself) {
  auto listener = given_listener();
  const auto id = given_job();
  listener->read_until(R"("event":"create")");
  EXPECT_EQ(ask("GET /host/jobs/" + id).json().at("status"), 0);
  EXPECT_TRUE(ask("GET /host/jobs?active=true").json().as_object().contains("node1-" + id));

  door_->let_layers_go();
  const auto told = listener->read_until(R"("event":"cleanup")");

  EXPECT_LT(told.find(R"("event":"create")"), told.find(R"("event":"error")"));
  EXPECT_LT(told.find(R"("event":"error")"), told.find(R"("event":"cleanup")"));
  EXPECT_NE(told.find("\"job_id\":\"node1-" + id + "\""), std::string::npos);
  const auto job = ask("GET /host/jobs/node1-" + id);
  EXPECT_EQ(job.status, 200);
  EXPECT_EQ(job.json().at("status"), 4);
  EXPECT_NE(std::string(job.json().at("error").as_string()).find("get the layers"), std::string::npos);
  EXPECT_EQ(job.json().at("job").at("config").at("env").at("A"), "b");
  EXPECT_EQ(ask("GET /host/jobs").json().as_object().size(), 1U);
  EXPECT_TRUE(ask("GET /host/jobs?active=true").json().as_object().empty());
}

TEST_F(HostApiTest, TellsWhoListensToOneJobOfThatJobAlone) {
  const auto mine = new_uuid();
  auto listener = given_listener("/host/jobs/node1-" + mine);
  auto everything = given_listener();
  door_->let_layers_go();
  const auto other = given_job();
  everything->read_until(R"("event":"cleanup")");
  EXPECT_TRUE(StoreClient(*door_)
                  .put("jobs/spec/node1/" + mine,
                       json::object{{"id", mine},
                                    {"app_id", "app"},
                                    {"args", json::array{"run"}},
                                    {"layers", json::array{json::object{{"id", std::string(64, 'b')}}}}})
                  .ok());

  const auto told = listener->read_until(R"("event":"cleanup")");

  EXPECT_NE(told.find(mine), std::string::npos);
  EXPECT_EQ(told.find(other), std::string::npos);
}

TEST_F(HostApiTest, EndsItsEventStreamsWhenItIsReplaced) {
  auto listener = given_listener();

  api_->drain(Deadline::after(20s));

  EXPECT_EQ(answer_of(listener->read_until("")).body, "") << "the end, and no error";
}

TEST_F(HostApiTest, SaysOfAnUnknownJobWhatClientsLookFor) {
  const auto answer = ask("GET /host/jobs/node1-" + new_uuid());

  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.json().at("code"), "object_not_found");
  EXPECT_EQ(answer.json().at("message"), "host: unknown job");
  EXPECT_EQ(answer.json().at("retry"), false);
  EXPECT_EQ(ask("PUT /host/jobs/none/signal/15").status, 404);
  EXPECT_EQ(ask("PUT /host/jobs/none/discoverd-deregister").status, 404);
  EXPECT_EQ(ask("DELETE /host/jobs/none").json().at("code"), "unknown_error");
  for (const char* bad : {"GET /host/jobs/..%2f..%2fetc", "GET /storage/volumes/..%2f..", "PUT /host/jobs/x/signal/0",
                          "PUT /host/jobs/x/signal/15x"})
    EXPECT_EQ(ask(bad).status, 400) << bad;
}

TEST_F(HostApiTest, SaysWhatItIsAndWhatItDoesNotDo) {
  const auto status = ask("GET /host/status").json();
  EXPECT_EQ(status.at("id"), "node1");
  EXPECT_EQ(status.at("url").as_string(), "http://127.0.0.1:" + std::to_string(port_));
  EXPECT_EQ(status.at("version"), "1.2.0");
  EXPECT_EQ(status.at("network").at("resolvers").as_array().size(), 1U);

  for (const char* what : {"POST /host/update", "POST /host/pull/images", "POST /host/tags",
                           "PUT /storage/volumes/a.b/snapshot", "PUT /sinks/x"}) {
    const auto answer = ask(what);
    EXPECT_EQ(answer.status, 501) << what;
    EXPECT_EQ(answer.json().at("code"), "unimplemented") << what;
  }
  EXPECT_EQ(ask("PATCH /host/status").status, 405);
  EXPECT_EQ(ask("GET /else").status, 404);
}

TEST_F(HostApiTest, StartsAJobThroughTheScheduler) {
  door_->let_the_scheduler_lead();
  auto listener = given_listener();
  const auto id = new_uuid();
  const std::string layer(64, 'c');
  EXPECT_TRUE(make_folders(machine_->paths().layer_folder()).ok());
  EXPECT_TRUE(write_file(machine_->paths().layer_file(layer), "no squashfs").ok());
  EXPECT_EQ(ask("PUT /host/jobs/" + id, json::serialize(wire_job("app", layer))).status, 400) << "there is no such app";
  EXPECT_TRUE(StoreClient(*door_).put("apps/app", json::object{{"v", 1}, {"id", "app"}}).ok());

  const auto answer = ask_until_led("PUT /host/jobs/node1-" + id, wire_job("app", layer));

  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto told = listener->read_until(R"("event":"cleanup")");
  EXPECT_NE(told.find("\"job_id\":\"node1-" + id + "\""), std::string::npos);
  EXPECT_NE(told.find(R"("status":4)"), std::string::npos) << "the layer was garbage";
}

TEST_F(HostApiTest, RefusesAJobThatCouldNotStartAndSaysWhy) {
  EXPECT_TRUE(StoreClient(*door_).put("apps/app", json::object{{"v", 1}, {"id", "app"}}).ok());
  const auto path = "PUT /host/jobs/" + new_uuid();

  const auto unknown = ask(path, json::serialize(wire_job("app", std::string(64, 'd'))));

  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("the blobstore has no such layer"), std::string::npos) << unknown.body;
  EXPECT_EQ(ask(path, "[").json().at("code"), "syntax_error");
  EXPECT_EQ(ask(path, "{}").status, 400);
  auto privileged = wire_job("app", std::string(64, 'd'));
  privileged["config"].as_object()["host_network"] = true;
  EXPECT_EQ(ask(path, json::serialize(privileged)).status, 501);
  auto listener = given_listener();
  const auto there = given_job();
  listener->read_until(R"("event":"create")");
  EXPECT_EQ(ask("PUT /host/jobs/" + there, json::serialize(wire_job("app", std::string(64, 'd')))).status, 409);
  EXPECT_EQ(ask(path, std::string((1 << 20) + 1, ' ')).json().at("code"), "request_body_too_big");
}

TEST_F(HostApiTest, StopsAJobByTheScheduler) {
  door_->let_the_scheduler_lead();
  auto listener = given_listener();
  const auto id = new_uuid();
  const std::string layer(64, 'e');
  door_->put_layer(layer);
  EXPECT_TRUE(StoreClient(*door_).put("apps/app", json::object{{"v", 1}, {"id", "app"}}).ok());
  EXPECT_EQ(ask_until_led("PUT /host/jobs/" + id, wire_job("app", layer)).status, 200);
  listener->read_until(R"("event":"create")");

  const auto answer = ask_until_led("DELETE /host/jobs/node1-" + id);

  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto stop = StoreClient(*door_).get("jobs/stop/node1/" + id);
  ASSERT_TRUE(stop && *stop);
  EXPECT_EQ(string_or((*stop)->value.as_object(), "reason"), "asked to stop by the host's API");
  door_->let_layers_go();
  listener->read_until(R"("event":"cleanup")");
  EXPECT_EQ(ask("DELETE /host/jobs/node1-" + id).json().at("code"), "unknown_error") << "it has ended";
}

TEST_F(HostApiTest, AttachesBeforeTheJobIsThereAndTellsWhyItNeverWas) {
  const auto id = new_uuid();
  ApiClient client(port_);
  client.send(request_text("POST /attach", R"({"job_id":"node1-)" + id + R"(","flags":19,"height":24,"width":80})"));
  const std::string head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flynn-attach/0\r\n\r\n";
  client.read_until(head + '\1');
  EXPECT_TRUE(agent_->is_awaited(id));
  door_->let_layers_go();
  EXPECT_TRUE(StoreClient(*door_)
                  .put("jobs/spec/node1/" + id,
                       json::object{{"id", id},
                                    {"app_id", "app"},
                                    {"args", json::array{"run"}},
                                    {"layers", json::array{json::object{{"id", std::string(64, 'b')}}}}})
                  .ok());

  const auto told = client.read_until("");

  EXPECT_EQ(told.substr(head.size(), 2), "\1\2") << "waiting, then an error";
  EXPECT_NE(told.find("get the layers"), std::string::npos);
  EXPECT_EQ(ask("POST /attach", R"({"job_id":"x","flags":9})").status, 501) << "history is the controller's";
  EXPECT_EQ(ask("POST /attach", R"({"job_id":"../x","flags":1})").status, 400);
}

TEST_F(HostApiTest, FindsPortsThatSomebodyHas) {
  for (const auto& [type, proto] : {std::pair{SOCK_STREAM, "tcp"}, {SOCK_DGRAM, "udp"}}) {
    UniqueFd taken(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    auto address = ApiClient::address_of(0);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(type == SOCK_STREAM ? ::listen(taken.get(), 1) : 0, 0);
    ::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size);
    const auto port = ntohs(address.sin_port);
    const auto body =
        json::serialize(json::object{{"ports", json::array{json::object{{"port", port}, {"proto", proto}}}}});

    const auto conflict = ask("POST /host/resource-check", body);
    taken.reset();
    const auto free = ask("POST /host/resource-check", body);

    EXPECT_EQ(conflict.status, 409);
    EXPECT_EQ(conflict.json().at("code"), "conflict");
    EXPECT_EQ(conflict.json().at("message"), "Conflicting resources found");
    EXPECT_EQ(conflict.json().at("detail").at(0).at("port"), port);
    EXPECT_EQ(free.status, 200) << free.body;
    EXPECT_EQ(free.body, "{}");
  }
  EXPECT_EQ(ask("POST /host/resource-check", R"({"ports":[{"port":70000}]})").status, 400);
  EXPECT_EQ(ask("POST /host/resource-check", R"({"ports":[{"port":1,"proto":"sctp"}]})").status, 400);
}

TEST_F(HostApiTest, KeepsAVolumeWhileJobsOfItsAppRun) {
  EXPECT_TRUE(make_folders(machine_->paths().volumes() + "/app/data").ok());
  auto listener = given_listener();
  given_job("app");
  listener->read_until(R"("event":"create")");
  EXPECT_EQ(ask("GET /storage/volumes").json().at(0).at("id"), "app.data");
  EXPECT_EQ(ask("GET /storage/volumes/app.data").json().at("app"), "app");
  EXPECT_EQ(ask("GET /storage/volumes/app.none").json().at("code"), "object_not_found");

  EXPECT_EQ(ask("DELETE /storage/volumes/app.data").status, 409);
  EXPECT_EQ(ask("GET /storage/volumes/app.data").status, 200);
  door_->let_layers_go();
  listener->read_until(R"("event":"error")");

  EXPECT_EQ(ask("DELETE /storage/volumes/app.data").status, 200);
  EXPECT_EQ(ask("GET /storage/volumes").body, "[]");
}

TEST_F(HostApiTest, ListsTheSinksOfTheStore) {
  EXPECT_EQ(ask("GET /sinks").body, "[]");
  EXPECT_TRUE(StoreClient(*door_).put("sinks/s", json::object{{"v", 1}, {"id", "s"}, {"kind", "syslog"}}).ok());

  EXPECT_EQ(ask("GET /sinks").json(), (json::array{json::object{{"id", "s"}, {"kind", "syslog"}}}));
}

}  // namespace
}  // namespace flynn::host
