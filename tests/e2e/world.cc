#include "world.h"

#include <unistd.h>

#include <sstream>

namespace flynn::e2e {
namespace {

std::unique_ptr<Node> the_node;

}  // namespace

void end_world() { the_node.reset(); }

Node& WorldTest::node() { return *the_node; }

void WorldTest::SetUpTestSuite() {
  if (::geteuid() != 0 || the_node) return;
  the_node = std::make_unique<Node>();
  ASSERT_TRUE(the_node->start()) << "the node did not become healthy\n"
                                 << json::serialize(the_node->status()) << the_node->log();
  ASSERT_TRUE(the_node->introduce()) << the_node->log();
}

void WorldTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: containers and mounts are made";
  ASSERT_TRUE(the_node && eventually(20s, [] { return the_node->healthy(); })) << "there is no healthy node\n"
                                                                               << the_node->log();
}

void WorldTest::given_app(const std::string& sample, const std::string& app) {
  if (const auto release = node().flynn({"-a", app, "release", "-q"}); release.ok() && release.out.size() > 30) return;
  const auto pushed = node().push_sample(sample, app);
  ASSERT_TRUE(pushed.ok()) << pushed.out << node().log();
}

void WorldTest::expect_page(const std::string& app, const std::string& text) {
  const auto page = node().get(app + ".flynn.localhost");
  EXPECT_TRUE(page.ok()) << page.out;
  EXPECT_NE(page.out.find(text), std::string::npos) << page.out << node().flynn({"-a", app, "log"}).out;
}

int WorldTest::jobs_up(const std::string& app, const std::string& type) {
  std::istringstream lines(node().flynn({"-a", app, "ps"}).out);
  int count = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, kind, state;
    words >> id >> kind >> state;
    if (kind == type && state == "up") ++count;
  }
  return count;
}

}  // namespace flynn::e2e

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int outcome = RUN_ALL_TESTS();
  flynn::e2e::end_world();
  return outcome;
}
