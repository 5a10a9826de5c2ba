// Two instances over one socket, as in a swap: who has the slot answers and is announced, the other is silent.
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <optional>

#include "http/http_client_test.h"
#include "tests/lone_plugin_test.h"

namespace flynn {
namespace {

/// The controller and discovery of one instance, whose name is in every refusal.
class Neighbours : public Door {
 public:
  using Door::call;
  explicit Neighbours(std::string name) : name_(std::move(name)) {}
  Result<Reply> call(std::string_view, std::string_view method, const json::object&, Deadline,
                     const std::vector<int>&) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (method == "Authorize") return Reply{{{"allowed", false}, {"known", true}, {"reason", "said to " + name_}}};
    return Reply{{{"lease", "1"}}};
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  const std::string name_;
  std::mutex mutex_;
  int calls_ = 0;
};

class ImagesPluginTest : public testing::Test {
 protected:
  ImagesPluginTest() : socket_(lent_socket(port_)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-images-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    for (auto* one : {&first_, &second_}) {
      one->plugin.emplace(one->neighbours, folder_, std::map<std::string, int>{{"images.http", socket_.get()}});
      EXPECT_TRUE(one->plugin->configure());
    }
  }
  ~ImagesPluginTest() override {
    first_.plugin.reset();
    second_.plugin.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string ask() const {
    http::Client client(port_);
    client.send("GET /layer/x HTTP/1.1\r\nHost: images\r\nConnection: close\r\n\r\n");
    return client.read_all();
  }
  void expect_served_by(const std::string& name) const {
    for (int i = 0; i < 20; ++i) {
      const auto answer = ask();
      ASSERT_NE(answer.find("said to " + name), std::string::npos) << answer;
    }
  }

  struct Instance {
    explicit Instance(const std::string& name) : neighbours(name) {}
    Neighbours neighbours;
    std::optional<LonePlugin> plugin;
  };
  std::uint16_t port_ = 0;
  UniqueFd socket_;
  std::string folder_;
  Instance first_{"first"}, second_{"second"};
};

TEST_F(ImagesPluginTest, AnswersCallsRightAfterItsStart) {
  ASSERT_TRUE(first_.plugin->start());

  const auto status = first_.plugin->call("flynn.images/1", "Status");

  ASSERT_TRUE(status);
  EXPECT_EQ(int_or(status->body, "uploads", -1), 0);
  EXPECT_EQ(first_.neighbours.calls(), 0) << "nothing is announced yet";
}

TEST_F(ImagesPluginTest, AQuiescedInstanceAcceptsAndAnnouncesNoMore) {
  ASSERT_TRUE(first_.plugin->start());
  ASSERT_TRUE(first_.plugin->activate());
  expect_served_by("first");

  ASSERT_TRUE(first_.plugin->quiesce());
  const auto before = first_.neighbours.calls();
  ASSERT_TRUE(second_.plugin->start());
  ASSERT_TRUE(second_.plugin->activate());

  expect_served_by("second");
  EXPECT_EQ(first_.neighbours.calls(), before);
}

TEST_F(ImagesPluginTest, AResumedInstanceServesAgain) {
  ASSERT_TRUE(first_.plugin->start());
  ASSERT_TRUE(first_.plugin->activate());
  ASSERT_TRUE(first_.plugin->quiesce());
  ASSERT_TRUE(second_.plugin->start());
  ASSERT_TRUE(second_.plugin->activate());
  ASSERT_TRUE(second_.plugin->quiesce());

  ASSERT_TRUE(first_.plugin->resume());

  expect_served_by("first");
}

}  // namespace
}  // namespace flynn
