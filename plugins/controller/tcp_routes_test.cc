// Ports of TCP routes as the API gives and refuses them.
#include "wire_fixture_test.h"

namespace flynn::controller {
namespace {

class TcpRoutes : public WireTest {
 protected:
  TcpRoutes() {
    given_an_app("shop");
    given_an_app("other");
  }
  WireAnswer add(int port, const std::string& app = "shop") {
    return ask("POST /apps/" + app + "/routes",
               R"({"type":"tcp","port":)" + std::to_string(port) + R"(,"service":"shop-db","drain_backends":true})");
  }
  json::object added(int port) {
    const auto answer = add(port);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return parse_json_object(answer.body).value_or(json::object{});
  }
  WireAnswer change(const json::object& route, json::object members) {
    json::object changed = route;
    for (const auto& member : members) changed[member.key()] = member.value();
    return ask("PUT /apps/shop/routes/tcp/" + text_of(route, "id"), json::serialize(changed));
  }
  /// The ports of the TCP routes there are, in the order of their making, the newest first.
  std::vector<std::int64_t> ports() {
    std::vector<std::int64_t> out;
    const auto routes = parse_json(ask("GET /apps/shop/routes").body);
    if (!routes || !routes->is_array()) return out;
    for (const json::value& route : routes->get_array())
      if (text_of(route.as_object(), "type") == "tcp") out.push_back(number_of(route.as_object(), "port"));
    return out;
  }
  static json::object error_of(const WireAnswer& answer) {
    return parse_json_object(answer.body).value_or(json::object{});
  }
  void expect_outside(const WireAnswer& answer) {
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(text_of(error_of(answer), "code"), "validation_error");
    EXPECT_EQ(text_of(object_of(error_of(answer), "detail"), "field"), "port") << answer.body;
    EXPECT_NE(answer.body.find("3000 to 3500"), std::string::npos) << answer.body;
  }
  void expect_taken(const WireAnswer& answer, const std::string& words) {
    EXPECT_EQ(answer.status, 409) << answer.body;
    EXPECT_EQ(text_of(error_of(answer), "code"), "conflict");
    EXPECT_NE(text_of(error_of(answer), "message").find(words), std::string::npos) << answer.body;
  }
};

TEST_F(TcpRoutes, APortOutsideTheRangeIsRefusedWithTheRange) {
  for (const int port : {2999, 3501, 65535, 65536, 1, -1}) expect_outside(add(port));
  EXPECT_EQ(ports(), (std::vector<std::int64_t>{}));

  added(3500);
  added(3000);

  EXPECT_EQ(ports(), (std::vector<std::int64_t>{3000, 3500}));
}

TEST_F(TcpRoutes, APortOfAnotherRouteIsAConflict) {
  added(3007);

  expect_taken(add(3007, "other"), "port 3007");
  EXPECT_EQ(number_of(added(0), "port"), 3000);
  EXPECT_EQ(number_of(added(0), "port"), 3001);
}

TEST_F(TcpRoutes, AnUpdateMovesARouteToAFreePortOfTheRange) {
  const auto route = added(3001);
  added(3002);

  expect_outside(change(route, {{"port", 8000}}));
  expect_taken(change(route, {{"port", 3002}}), "port 3002");
  const auto moved = change(route, {{"port", 3003}, {"leader", true}});

  EXPECT_EQ(moved.status, 200) << moved.body;
  EXPECT_EQ(number_of(error_of(moved), "port"), 3003);
  EXPECT_EQ(ports(), (std::vector<std::int64_t>{3002, 3003}));
  added(3001);  // it is free again
  expect_taken(add(3003), "port 3003");
  EXPECT_EQ(change(error_of(moved), {{"port", 0}, {"leader", false}}).status, 200) << "0: where it is";
}

TEST_F(TcpRoutes, WhatTheRouterCannotOpenIsTakenBack) {
  door_.add_router(std::map<std::int64_t, std::string>{{3000, "bind 0.0.0.0:3000: Address already in use"}});

  expect_taken(add(3000), "Address already in use");

  EXPECT_EQ(ports(), (std::vector<std::int64_t>{}));
  EXPECT_EQ(number_of(added(0), "port"), 3001) << "the next one that can be had";
  const auto route = added(3005);
  expect_taken(change(route, {{"port", 3000}}), "Address already in use");
  EXPECT_EQ(ports(), (std::vector<std::int64_t>{3005, 3001})) << "it is where it was";
}

TEST_F(TcpRoutes, WhatTheRouterServesMayBeChangedWhateverTheRange) {
  const auto route = added(3001);
  json::object outside = route;
  outside["port"] = 5000;  // made when the range was another one
  const json::object put{{"put", {{"key", "routes/tcp/" + text_of(route, "id")}, {"value", outside}}}};
  ASSERT_TRUE(door_
                  .call("flynn.store/1", "Txn",
                        {{"compare", json::array{}}, {"then", json::array{put}}, {"else", json::array{}}})
                  .ok());

  expect_outside(change(outside, {{"leader", true}}));
  door_.add_router(std::map<std::int64_t, std::string>{});
  EXPECT_EQ(change(outside, {{"leader", true}}).status, 200);
  door_.add_router(std::map<std::int64_t, std::string>{{5000, "no range has it"}});
  expect_outside(change(outside, {{"leader", false}}));
}

TEST_F(TcpRoutes, ARouterWithoutTcpIsToldOf) {
  door_.add_router(std::nullopt);

  const auto refused = add(0);

  EXPECT_EQ(refused.status, 400) << refused.body;
  EXPECT_NE(refused.body.find("no router of this node"), std::string::npos) << refused.body;
  EXPECT_EQ(ports(), (std::vector<std::int64_t>{}));
}

}  // namespace
}  // namespace flynn::controller
