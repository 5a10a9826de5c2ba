#include "engine/route_table.h"

#include <gtest/gtest.h>

namespace flynn::router {
namespace {

std::string found(const RouteTable& table, std::string_view host, std::string_view path = "/") {
  const auto* route = table.find(host, path);
  return route == nullptr ? "-" : route->id;
}

TEST(RouteTable, PrefersTheExactDomainThenTheNearestWildcardThenAll) {
  RouteTableBuilder builder;
  builder.put_route({"exact", "a.example.com", "/", "s", "", false});
  builder.put_route({"near", "*.b.example.com", "/", "s", "", false});
  builder.put_route({"far", "*.example.com", "/", "s", "", false});
  const auto before = builder.publish();
  builder.put_route({"all", "*", "/", "s", "", false});
  const auto table = builder.publish();

  EXPECT_EQ(found(*table, "A.Example.com"), "exact");
  EXPECT_EQ(found(*table, "a.example.com."), "exact");
  EXPECT_EQ(found(*table, "x.b.example.com"), "near");
  EXPECT_EQ(found(*table, "b.example.com"), "far");
  EXPECT_EQ(found(*table, "x.y.example.com"), "far");
  EXPECT_EQ(found(*table, "x.example.com"), "far");
  EXPECT_EQ(found(*table, "example.com"), "all");
  EXPECT_EQ(found(*before, "example.com"), "-");
  EXPECT_EQ(found(*table, std::string(300, 'a')), "-");
}

TEST(RouteTable, PrefersTheLongestPathByWholeSegments) {
  RouteTableBuilder builder;
  builder.put_route({"root", "a", "/", "s", "", false});
  builder.put_route({"api", "a", "/api/", "s", "", false});
  builder.put_route({"v1", "a", "/api/v1/", "s", "", false});
  const auto table = builder.publish();

  EXPECT_EQ(found(*table, "a", "/"), "root");
  EXPECT_EQ(found(*table, "a", "/api"), "api");
  EXPECT_EQ(found(*table, "a", "/api/x"), "api");
  EXPECT_EQ(found(*table, "a", "/apix"), "root");
  EXPECT_EQ(found(*table, "a", "/api/v1/y"), "v1");
}

TEST(RouteTable, ChangesWithoutTouchingWhatIsPublished) {
  RouteTableBuilder builder;
  builder.put_route({"1", "a", "/", "s", "", false});
  ASSERT_TRUE(builder.put_backend("s", "i1", "10.0.0.1:80"));
  const auto before = builder.publish();
  builder.remove_route("1");
  builder.put_route({"2", "b", "/", "s", "", false});
  builder.remove_backend("s", "i1");
  const auto after = builder.publish();

  EXPECT_EQ(found(*before, "a"), "1");
  EXPECT_EQ(found(*after, "a"), "-");
  EXPECT_EQ(found(*after, "b"), "2");
  ASSERT_NE(before->service("s"), nullptr);
  EXPECT_TRUE(before->service("s")->backends[0]->retired.load());
  EXPECT_EQ(after->service("s"), nullptr);
}

TEST(RouteTable, KeepsABackendAndItsCountersWhenNothingChanged) {
  RouteTableBuilder builder;
  ASSERT_TRUE(builder.put_backend("s", "i1", "10.0.0.1:80"));
  const auto before = builder.publish();
  ASSERT_TRUE(builder.put_backend("s", "i1", "10.0.0.1:80"));
  ASSERT_TRUE(builder.put_backend("s", "i2", "[::1]:81"));
  const auto after = builder.publish();

  EXPECT_EQ(before->service("s")->backends[0], after->service("s")->backends[0]);
  EXPECT_EQ(after->service("s")->backends.size(), 2u);
  for (const char* bad : {"10.0.0.1", "10.0.0.1:0", "10.0.0.1:99999", "name:80", ":80", ""})
    EXPECT_FALSE(builder.put_backend("s", "i3", bad)) << bad;
}

}  // namespace
}  // namespace flynn::router
