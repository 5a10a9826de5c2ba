// discoverd's HTTP API, line by line, against the real plugin and the real store; also in a cage.
#include <gtest/gtest.h>

#include "http_client.h"
#include "wire.h"
#include "wire_node.h"

namespace flynn::wires {
namespace {

class DiscoveryWire : public testing::TestWithParam<bool> {
 protected:
  DiscoveryWire() : node_(GetParam()) {}
  Answer put(const std::string& path, const json::value& body = json::object{}) {
    return ask(node_.discovery_port(), "PUT", path, body);
  }
  Answer get(const std::string& path) { return ask(node_.discovery_port(), "GET", path); }
  Answer erase(const std::string& path) { return ask(node_.discovery_port(), "DELETE", path); }
  static std::string code(const Answer& answer) {
    const auto document = answer.document();
    return document.is_object() ? string_or(document.get_object(), "code") : "";
  }
  // Registers as a client does; the id.
  std::string given_instance(const std::string& service, const std::string& addr, const json::object& meta = {}) {
    const auto id = discovery::instance_id("tcp", addr);
    const auto answer = put("/services/" + service + "/instances/" + id,
                            {{"id", id}, {"addr", addr}, {"proto", "tcp"}, {"meta", meta}});
    EXPECT_EQ(answer.status, 200) << answer.body;
    return id;
  }
  WireNode node_;
};

TEST_P(DiscoveryWire, MakesAndRemovesAService) {
  EXPECT_EQ(put("/services/web").status, 200);
  const auto twice = put("/services/web");
  EXPECT_EQ(twice.status, 409);
  EXPECT_EQ(code(twice), "object_exists");
  EXPECT_EQ(put("/services/Bad_Name").status, 400);
  EXPECT_EQ(put("/services/odd", {{"leader_type", "youngest"}}).status, 400);

  EXPECT_EQ(get("/services/web/instances").body, "[]");
  EXPECT_EQ(erase("/services/web").status, 200);
  const auto gone = erase("/services/web");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(code(gone), "object_not_found");
  EXPECT_EQ(get("/services/web/instances").status, 404);
}

TEST_P(DiscoveryWire, RegistersAnInstanceAndTakesAgainForAHeartbeat) {
  put("/services/web");
  const auto id = given_instance("web", "10.0.0.1:80", {{"FLYNN_APP_NAME", "shop"}});
  const auto before = get("/services/web/instances").document();
  given_instance("web", "10.0.0.1:80", {{"FLYNN_APP_NAME", "shop"}});

  const auto list = get("/services/web/instances").document();
  ASSERT_EQ(list.as_array().size(), 1u);
  EXPECT_EQ(list, before) << "a heartbeat changes nothing";
  const auto& one = list.as_array()[0].as_object();
  EXPECT_EQ(string_or(one, "id"), id);
  EXPECT_EQ(string_or(one, "addr"), "10.0.0.1:80");
  EXPECT_EQ(string_or(*find_object(one, "meta"), "FLYNN_APP_NAME"), "shop");
  EXPECT_GT(int_or(one, "index"), 0);
}

TEST_P(DiscoveryWire, RefusesAnInstanceThatIsNotWhatItSays) {
  put("/services/web");
  EXPECT_EQ(put("/services/web/instances/abc", {{"id", "abc"}, {"addr", "10.0.0.1:80"}, {"proto", "tcp"}}).status, 400);
  const auto id = discovery::instance_id("tcp", "10.0.0.1:80");
  EXPECT_EQ(put("/services/none/instances/" + id, {{"id", id}, {"addr", "10.0.0.1:80"}, {"proto", "tcp"}}).status, 404);
  const auto broken = ask(node_.discovery_port(), "PUT", "/services/web/instances/" + id, "not an object");
  EXPECT_EQ(broken.status, 400);
  EXPECT_EQ(code(broken), "syntax_error");
}

TEST_P(DiscoveryWire, TheOldestLeadsAndTheNextWhenItGoes) {
  put("/services/web");
  EXPECT_EQ(get("/services/web/leader").status, 404);
  const auto first = given_instance("web", "10.0.0.1:80"), second = given_instance("web", "10.0.0.2:80");

  EXPECT_EQ(string_or(get("/services/web/leader").document().as_object(), "id"), first);
  EXPECT_EQ(put("/services/web/leader", {{"id", second}}).status, 400) << "only a manual leader is put";
  EXPECT_EQ(erase("/services/web/instances/" + first).status, 200);
  EXPECT_EQ(string_or(get("/services/web/leader").document().as_object(), "id"), second);
}

TEST_P(DiscoveryWire, AManualLeaderIsNobodyUntilSet) {
  put("/services/db", {{"leader_type", "manual"}});
  const auto first = given_instance("db", "10.0.0.1:5432"), second = given_instance("db", "10.0.0.2:5432");
  EXPECT_EQ(get("/services/db/leader").status, 404);

  EXPECT_EQ(put("/services/db/leader", {{"id", second}}).status, 200);
  EXPECT_EQ(string_or(get("/services/db/leader").document().as_object(), "id"), second);
  erase("/services/db/instances/" + second);
  EXPECT_EQ(get("/services/db/leader").status, 404) << "no other takes over by itself";
}

TEST_P(DiscoveryWire, MetadataIsComparedAndSet) {
  put("/services/db", {{"leader_type", "manual"}});
  const auto leader = given_instance("db", "10.0.0.1:5432");
  EXPECT_EQ(get("/services/db/meta").status, 404);

  const auto made = put("/services/db/meta", {{"data", {{"primary", 1}}}, {"index", 0}});
  ASSERT_EQ(made.status, 200) << made.body;
  const auto index = int_or(made.document().as_object(), "index");
  EXPECT_EQ(code(put("/services/db/meta", {{"data", 1}, {"index", 0}})), "object_exists");
  const auto stale = put("/services/db/meta", {{"data", 2}, {"index", index + 1000}});
  EXPECT_EQ(stale.status, 412);
  EXPECT_EQ(code(stale), "precondition_failed");

  const auto changed = put("/services/db/meta", {{"data", json::array{1, 2}}, {"index", index}, {"leader_id", leader}});
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(get("/services/db/meta").document().at("data"), (json::array{1, 2}));
  EXPECT_EQ(string_or(get("/services/db/leader").document().as_object(), "id"), leader) << "in the same moment";
}

TEST_P(DiscoveryWire, StreamsWhatIsThereThenWhatChanges) {
  put("/services/web");
  const auto first = given_instance("web", "10.0.0.1:80");
  put("/services/web/meta", {{"data", "d"}, {"index", 0}});
  EventStream stream(node_.discovery_port(), "/services/web");
  ASSERT_EQ(stream.status(), 200);
  const auto next = [&] {
    const auto event = stream.next();
    const auto* instance = find_object(event, "instance");
    return string_or(event, "kind") + " " + (instance == nullptr ? "" : string_or(*instance, "id"));
  };

  EXPECT_EQ(next(), "up " + first);
  EXPECT_EQ(next(), "leader " + first);
  EXPECT_EQ(next(), "service_meta ");
  EXPECT_EQ(next(), "current ");
  const auto second = given_instance("web", "10.0.0.2:80");
  EXPECT_EQ(next(), "up " + second);
  erase("/services/web/instances/" + first);
  EXPECT_EQ(next(), "down " + first);
  EXPECT_EQ(next(), "leader " + second);
}

TEST_P(DiscoveryWire, StreamsOnlyLeadersWhereThoseAreAskedFor) {
  put("/services/web");
  EventStream leaders(node_.discovery_port(), "/services/web/leader");
  EXPECT_EQ(string_or(leaders.next(), "kind"), "current");
  const auto id = given_instance("web", "10.0.0.1:80");

  const auto event = leaders.next();

  EXPECT_EQ(string_or(event, "kind"), "leader");
  EXPECT_EQ(string_or(*find_object(event, "instance"), "id"), id);
}

TEST_P(DiscoveryWire, AHeartbeatAfterASwapKeepsTheIndex) {
  put("/services/web");
  given_instance("web", "10.0.0.1:80");
  const auto before = get("/services/web/instances").document();

  ASSERT_EQ(node_.swap_discovery(), "");
  given_instance("web", "10.0.0.1:80");

  EXPECT_EQ(get("/services/web/instances").document(), before);
}

TEST_P(DiscoveryWire, AnswersPingAndWhoLeads) {
  const auto ping = get("/ping");
  EXPECT_EQ(ping.status, 200);
  EXPECT_EQ(ping.body, "");
  EXPECT_NE(ping.head.find("Discoverd-Current-Peers:"), std::string::npos) << ping.head;
  EXPECT_EQ(string_or(get("/raft/leader").document().as_object(), "host"), "http://127.0.0.1:1111");
  EXPECT_EQ(get("/nothing").status, 404);
}

INSTANTIATE_TEST_SUITE_P(Shared, DiscoveryWire, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Caged, DiscoveryWire, testing::Values(true));

}  // namespace
}  // namespace flynn::wires
