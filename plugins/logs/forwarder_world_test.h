// A forwarder with the store, the logs and a syslog server, for tests.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>

#include "flynn/sdk/uuid.h"
#include "forwarder.h"
#include "sink_peers_test.h"
#include "store_door_test.h"

namespace flynn::logs {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using store::StoreDoor;

// The store, the logs and a syslog server; the test appends as the plugin does.
class ForwarderTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder());
    write_app(app_, "shop");
    start();
  }
  void TearDown() override { stop(); }

  void start() {
    logs_ = std::move(LogStore::open(door_.folder() / "logs", limits_)).value();
    forwarder_ = std::make_unique<Forwarder>(door_, log_, *logs_, folder().string());
    forwarder_->prepare();
    forwarder_->activate();
  }
  void stop() {
    forwarder_.reset();
    logs_.reset();
  }

  void write_app(const std::string& id, const std::string& name) {
    ASSERT_TRUE(store_.put("apps/" + id, json::object{{"id", id}, {"name", name}}).ok());
  }
  void write_sink(const std::string& id, json::object config, const std::string& kind = "syslog") {
    ASSERT_TRUE(
        store_
            .put("sinks/" + id,
                 json::object{
                     {"v", 1}, {"id", id}, {"kind", kind}, {"host_managed", false}, {"config", std::move(config)}})
            .ok());
  }
  void append(const std::string& app_id, const std::string& msg, const std::string& stream = "stdout") {
    Message message{app_id, "app", stream, "web", "h1-j1", "h1", msg, 1'769'860'800'100'020};
    ASSERT_TRUE((*logs_->log_of(app_id))->append(line_of(message)).ok());
    forwarder_->wake();
  }
  std::uint64_t end_of_log() { return (*logs_->log_of(app_))->end(); }

  fs::path folder() const { return door_.folder() / "sinks"; }
  std::string file() const { return (folder() / (sink_ + ".json")).string(); }

  // Looks again after each change in the folder of positions.
  void wait_until(const std::function<bool()>& holds) {
    const UniqueFd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(changes.get(), folder().c_str(), IN_MOVED_TO | IN_DELETE), 0);
    const auto deadline = Deadline::after(20s);
    while (!holds()) {
      pollfd entry{changes.get(), POLLIN, 0};
      ASSERT_EQ(::poll(&entry, 1, deadline.left_ms()), 1) << "the positions do not become what is expected";
      std::array<char, 4096> events;
      ASSERT_GT(::read(changes.get(), events.data(), events.size()), 0);
    }
  }
  void wait_until_saved() {
    wait_until([this] {
      std::ifstream in(file());
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const auto document = parse_json_object(text);
      const auto* positions = document ? find_object(*document, "positions") : nullptr;
      return positions != nullptr && int_or(*positions, app_) == static_cast<std::int64_t>(end_of_log());
    });
  }
  json::object status_of(const std::string& id) {
    for (const auto& entry : forwarder_->status())
      if (string_or(entry.as_object(), "id") == id) return entry.as_object();
    return {};
  }

  StoreDoor door_;
  StoreClient store_{door_};
  EventLog log_;
  AppLogLimits limits_;
  SyslogServer server_;
  const std::string app_ = new_uuid(), sink_ = new_uuid();
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<Forwarder> forwarder_;
};

}  // namespace flynn::logs
