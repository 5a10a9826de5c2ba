// Two instances over one store and one socket, as in a swap.
#include <gtest/gtest.h>

#include <optional>

#include "dns_client_test.h"
#include "flynn/sdk/stream.h"
#include "http/http_client_test.h"
#include "store_door_test.h"
#include "tests/lone_plugin_test.h"

namespace flynn::discovery {
namespace {

constexpr const char* kDiscovery = "flynn.discovery/1";

/// One that is free for UDP now, and for TCP as well as can be known.
int free_port() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

class DiscoveryPluginTest : public testing::Test {
 protected:
  DiscoveryPluginTest() : socket_(lent_socket(port_)), dns_port_(free_port()) {}

  /// `name`: told to each client of HTTP.
  void configure(std::optional<LonePlugin>& plugin, const std::string& name) {
    plugin.emplace(store_, store_.folder().string(), std::map<std::string, int>{{"discovery.http", socket_.get()}});
    ASSERT_TRUE(plugin->configure(
        {{"http_url", name}, {"dns_address", "127.0.0.1"}, {"dns_port", dns_port_}, {"resolvers", {"127.0.0.1"}}}));
  }
  static void serve(LonePlugin& plugin) {
    ASSERT_TRUE(plugin.start());
    ASSERT_TRUE(plugin.activate());
  }
  /// And waits until `plugin` has it back from the store, whose news may be under way to it.
  static void add_instance(LonePlugin& plugin) {
    auto stream = plugin.call(kDiscovery, "Watch", {{"service", "web"}});
    ASSERT_TRUE(stream && !stream->fds.empty());
    ASSERT_TRUE(plugin.call(kDiscovery, "Register", {{"service", "web"}, {"id", "a"}, {"addr", "10.0.0.7:80"}}));
    LineReader lines(std::move(stream->fds[0]));
    for (std::string kind; kind != "leader"; kind = string_or(*parse_json_object(lines.text()), "kind")) {
      auto status = lines.next(Deadline::after(20s));
      ASSERT_TRUE(status && *status == LineReader::Status::line);
    }
  }
  /// The kinds of lines up to "current".
  static std::string watched(LonePlugin& plugin) {
    auto reply = plugin.call(kDiscovery, "Watch", {{"service", "web"}});
    if (!reply || reply->fds.empty()) return "refused";
    LineReader lines(std::move(reply->fds[0]));
    std::string kinds;
    while (!kinds.ends_with("current ")) {
      auto status = lines.next(Deadline::after(20s));
      if (!status || *status != LineReader::Status::line) return kinds + "(ended)";
      kinds += string_or(*parse_json_object(lines.text()), "kind") + " ";
    }
    return kinds;
  }
  void expect_http_by(const std::string& name) const {
    for (int i = 0; i < 20; ++i) {
      http::Client client(port_);
      client.send("GET /services/web/instances HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
      const auto answer = client.read_all();
      ASSERT_NE(answer.find("Discoverd-Peers: " + name), std::string::npos) << answer;
    }
  }
  void expect_names_answered() const {
    for (int i = 0; i < 20; ++i) ASSERT_EQ(answers_in(ask(dns_port_, query_for("web.discoverd"))), 1) << i;
  }

  std::uint16_t port_ = 0;
  UniqueFd socket_;
  const int dns_port_;
  store::StoreDoor store_;
  std::optional<LonePlugin> first_, second_;
};

TEST_F(DiscoveryPluginTest, AnswersCallsRightAfterItsStart) {
  configure(first_, "first");
  serve(*first_);
  add_instance(*first_);

  configure(second_, "second");
  ASSERT_TRUE(first_->quiesce());
  ASSERT_TRUE(second_->start());

  EXPECT_EQ(watched(*second_), "up leader current ") << "not as if there were nothing";
  const auto instances = second_->call(kDiscovery, "Instances", {{"service", "web"}});
  ASSERT_TRUE(instances);
  EXPECT_EQ(string_or(instances->body, "leader"), "a");
}

TEST_F(DiscoveryPluginTest, AQuiescedInstanceAcceptsNoMoreAndServesAgainWhenResumed) {
  configure(first_, "first");
  configure(second_, "second");
  serve(*first_);
  expect_http_by("first");

  ASSERT_TRUE(first_->quiesce());
  serve(*second_);
  expect_http_by("second");

  ASSERT_TRUE(second_->quiesce());
  ASSERT_TRUE(first_->resume());
  expect_http_by("first");
}

TEST_F(DiscoveryPluginTest, NamesAreAnsweredAllThroughASwap) {
  configure(first_, "first");
  serve(*first_);
  add_instance(*first_);
  ASSERT_EQ(watched(*first_), "up leader current ");

  configure(second_, "second");
  ASSERT_EQ(watched(*second_), "up leader current ");
  expect_names_answered();
  ASSERT_TRUE(first_->quiesce());
  expect_names_answered();
  serve(*second_);
  expect_names_answered();
  first_.reset();
  expect_names_answered();
}

}  // namespace
}  // namespace flynn::discovery
