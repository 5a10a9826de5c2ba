#include "scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"
#include "store_door_test.h"

namespace flynn::scheduler {
namespace {

using store::QuietLog;
using store::StoreDoor;

using namespace std::chrono_literals;

// Does what the host plugin does with keys, without containers: specs come up, stops go down.
class FakeHost {
 public:
  FakeHost(StoreDoor& door, std::string id) : store_(door), id_(std::move(id)) {
    StoreMirrorHandler handler;
    handler.on_snapshot = [this](const RangeResult& all) {
      for (const auto& kv : all.kvs) see(kv.key, kv.value, true);
    };
    handler.on_events = [this](std::int64_t, const std::vector<StoreEvent>& events) {
      for (const auto& event : events) see(event.kv.key, event.kv.value, event.kind == EventKind::put);
    };
    mirror_ = std::make_unique<StoreMirror>(door, log_, "jobs/", std::move(handler));
    come(64LL << 30);
    mirror_->start("fake-host");
  }
  ~FakeHost() { mirror_->stop(); }

  void come(std::int64_t memory_bytes) {
    EXPECT_TRUE(
        store_
            .put("hosts/" + id_, json::object{{"id", id_},
                                              {"addr", "10.0.0.1"},
                                              {"capacity", {{"memory_bytes", memory_bytes}, {"cpu_millis", 64000}}}})
            .ok());
  }
  void go() { EXPECT_TRUE(store_.erase("hosts/" + id_).ok()); }

  void end(const std::string& job, int exit_status) {
    json::object status;
    {
      const std::lock_guard lock(mutex_);
      status = status_of(job, "down");
    }
    status["exit_status"] = exit_status;
    status["ended_at"] = now_rfc3339();
    write(job, status);
  }

  std::set<std::string> running() {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  json::object spec(const std::string& job) {
    const std::lock_guard lock(mutex_);
    return specs_[job];
  }
  /// Waits until `done(running, specs)`; false after 15 s.
  template <typename Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 15s, [&] { return done(running_, specs_); });
  }
  bool wait_running(std::size_t count) {
    return wait(
        [=](const auto& running, const auto& specs) { return running.size() == count && specs.size() == count; });
  }

 private:
  json::object status_of(const std::string& job, const char* state) {
    const auto& spec = specs_[job];
    return {{"v", 1},
            {"id", job},
            {"host_id", id_},
            {"app_id", string_or(spec, "app_id")},
            {"release_id", string_or(spec, "release_id")},
            {"type", string_or(spec, "type")},
            {"kind", string_or(spec, "kind")},
            {"state", state},
            {"up_at", now_rfc3339()}};
  }
  void write(const std::string& job, const json::object& status) {
    EXPECT_TRUE(store_.put("jobs/status/" + id_ + "/" + job, status).ok());
  }

  void see(const std::string& key, const json::value& value, bool put) {
    const std::string job = key.substr(key.rfind('/') + 1);
    json::object up, down;
    {
      const std::lock_guard lock(mutex_);
      if (key.starts_with("jobs/spec/" + id_ + "/")) {
        if (put) {
          specs_[job] = value.as_object();
          running_.insert(job);
          up = status_of(job, "up");
        } else {
          specs_.erase(job);
          running_.erase(job);
        }
      } else if (key.starts_with("jobs/stop/" + id_ + "/") && put && specs_.contains(job)) {
        down = status_of(job, "down");
      } else if (key.starts_with("jobs/status/" + id_ + "/") && put &&
                 string_or(value.as_object(), "state") == "down") {
        running_.erase(job);
      }
    }
    if (!up.empty()) write(job, up);
    if (!down.empty()) {
      down["ended_at"] = now_rfc3339();
      write(job, down);
    }
    changed_.notify_all();
  }

  StoreClient store_;
  std::string id_;
  QuietLog log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, json::object> specs_;
  std::set<std::string> running_;
  std::unique_ptr<StoreMirror> mirror_;
};

class SchedulerTest : public testing::Test {
 protected:
  void SetUp() override {
    put("apps/a", R"({"id":"a","name":"hello","release":"r"})");
    put("artifacts/slug", R"({"manifest":{"rootfs":[{"layers":[{"id":"l1","length":1}]}]}})");
    put("releases/r", R"({"id":"r","app_id":"a","artifacts":["slug"],"processes":{"web":{"args":["run"]}}})");
  }

  void put(const std::string& key, const std::string& text) {
    ASSERT_TRUE(store_.put(key, parse_json(text).value()).ok());
  }
  void scale(int count) { put("formations/a/r", R"({"processes":{"web":)" + std::to_string(count) + "}}"); }

  std::unique_ptr<Scheduler> start(SchedulerOptions options = {}, const std::string& node = "node1") {
    auto scheduler = std::make_unique<Scheduler>(door_, log_, options, node);
    scheduler->start();
    scheduler->activate();
    return scheduler;
  }

  // A scheduler leads a moment after it was activated.
  template <typename Call>
  static Result<json::object> until_led(Call call) {
    const auto deadline = Deadline::after(15s);
    while (true) {
      auto result = call();
      if (result.ok() || result.error().code != Code::unavailable || deadline.passed()) return result;
      std::this_thread::yield();
    }
  }
  Result<json::object> run(Scheduler& scheduler, const std::string& request) {
    return until_led([&] { return scheduler.run(parse_json_object(request).value(), Deadline::after(10s)); });
  }
  std::size_t count(const std::string& prefix) { return store_.range(prefix)->kvs.size(); }

  StoreDoor door_;
  StoreClient store_{door_};
  QuietLog log_;
};

TEST_F(SchedulerTest, KeepsAsManyJobsAsTheFormationSays) {
  FakeHost host(door_, "h1");
  const auto scheduler = start();

  scale(3);
  ASSERT_TRUE(host.wait_running(3));
  scale(1);
  ASSERT_TRUE(host.wait_running(1));
  ASSERT_TRUE(store_.erase("formations/a/r").ok());
  ASSERT_TRUE(host.wait_running(0));
  EXPECT_EQ(count("jobs/index/"), 0u);
  EXPECT_EQ(count("jobs/stop/"), 0u);
  EXPECT_EQ(count("jobs/status/"), 3u) << "what ended stays to be seen";
}

TEST_F(SchedulerTest, ReplacesAJobThatEndsAndWaitsLongerEachTime) {
  FakeHost host(door_, "h1");
  const auto scheduler = start();
  scale(1);
  ASSERT_TRUE(host.wait_running(1));
  const std::string first = *host.running().begin();

  host.end(first, 1);
  ASSERT_TRUE(
      host.wait([&](const auto& running, const auto&) { return running.size() == 1 && !running.contains(first); }));
  const std::string second = *host.running().begin();
  EXPECT_EQ(int_or(host.spec(second), "restarts"), 1);

  const auto ended = std::chrono::steady_clock::now();
  host.end(second, 1);
  ASSERT_TRUE(
      host.wait([&](const auto& running, const auto&) { return running.size() == 1 && !running.contains(second); }));
  EXPECT_GE(std::chrono::steady_clock::now() - ended, 990ms);
  EXPECT_EQ(int_or(host.spec(*host.running().begin()), "restarts"), 2);
}

TEST_F(SchedulerTest, RunsAndStopsAOneOff) {
  FakeHost host(door_, "h1");
  const auto scheduler = start();

  const auto job = run(*scheduler, R"({"app_id":"a","args":["rake"],"env":{"X":"y"}})");

  ASSERT_TRUE(job.ok()) << job.error().message;
  EXPECT_EQ(string_or(*job, "host_id"), "h1");
  ASSERT_TRUE(host.wait_running(1));
  EXPECT_EQ(to_text(host.spec(string_or(*job, "job_id")).at("args")), R"(["rake"])");
  ASSERT_TRUE(scheduler->stop_job(*job, Deadline::after(10s)).ok());
  ASSERT_TRUE(host.wait_running(0));
  EXPECT_EQ(scheduler->stop_job(*job, Deadline::after(10s)).error().code, Code::not_found);
}

TEST_F(SchedulerTest, RunSeesAReleaseThatWasJustWritten) {
  FakeHost host(door_, "h1");
  const auto scheduler = start();
  ASSERT_TRUE(run(*scheduler, R"({"app_id":"a"})").error().code == Code::failed_precondition) << "no command";
  for (int i = 0; i < 20; ++i) {
    const std::string id = "new" + std::to_string(i);
    put("releases/" + id, R"({"app_id":"a","artifacts":["slug"]})");
    EXPECT_TRUE(run(*scheduler, R"({"app_id":"a","args":["x"],"release_id":")" + id + "\"}").ok());
  }
}

TEST_F(SchedulerTest, SaysWhyAJobHasNoPlace) {
  const auto scheduler = start();
  EXPECT_EQ(run(*scheduler, R"({"app_id":"a","args":["x"]})").error().code, Code::failed_precondition) << "no host";

  FakeHost host(door_, "h1");
  host.come(256 << 20);
  scale(2);  // 1 GiB each; 4 times 256 MiB is one
  ASSERT_TRUE(host.wait_running(1));

  std::string lines;
  const auto deadline = Deadline::after(10s);
  while (lines.find("no host has room") == std::string::npos && !deadline.passed())
    lines = to_text(*scheduler->explain({{"app_id", "a"}}));
  EXPECT_NE(lines.find("wanted 2, placed 1: no host has room"), std::string::npos) << lines;
  EXPECT_EQ(run(*scheduler, R"({"app_id":"a","args":["x"]})").error().code, Code::resource_exhausted);
  host.come(64LL << 30);
  EXPECT_TRUE(host.wait_running(2)) << "placed when there is room";
}

TEST_F(SchedulerTest, CommitsClaimsOfOthersThatFit) {
  FakeHost host(door_, "h1");
  const auto scheduler = start();
  const auto claim = [](const char* host_id, std::int64_t gib) {
    return json::object{{"host_id", host_id},
                        {"job",
                         {{"id", new_uuid()},
                          {"app_id", "a"},
                          {"args", {"x"}},
                          {"layers", {{{"id", "l"}, {"length", 1}}}},
                          {"resources", {{"memory_bytes", gib << 30}}}}}};
  };
  json::object request{{"claims", {claim("h1", 100), claim("h1", 1000), claim("h2", 1)}}};
  request["mode"] = "all_or_nothing";
  const auto commit = [&] { return scheduler->commit(request, Deadline::after(10s)); };

  EXPECT_EQ(until_led(commit).error().code, Code::conflict);
  EXPECT_EQ(count("jobs/spec/"), 0u);
  request["mode"] = "incremental";
  const auto some = commit();
  ASSERT_TRUE(some.ok()) << some.error().message;
  EXPECT_EQ(some->at("accepted").as_array().size(), 1u);
  EXPECT_EQ(some->at("rejected").as_array().size(), 2u);
  const auto again = commit();
  EXPECT_TRUE(again->at("accepted").as_array().empty()) << "the same job id twice";
}

TEST_F(SchedulerTest, ASuccessorGoesOnAndThePredecessorCanWriteNothing) {
  FakeHost host(door_, "h1");
  const auto first = start();
  scale(2);
  ASSERT_TRUE(host.wait_running(2));
  const auto before = host.running();

  const auto second = start();  // as after a crash: the first has not let go
  const auto led = [&](Scheduler& scheduler) { return bool_or(*scheduler.cell(), "leading"); };
  const auto deadline = Deadline::after(15s);
  while (!led(*second) && !deadline.passed()) std::this_thread::yield();
  Committer stale(door_, std::string(kLeaderKey));
  Change change;
  change.subject = "x";
  change.puts.emplace_back("jobs/spec/h1/x", json::object{});
  EXPECT_EQ(stale.commit({change}, 1).error().code, Code::conflict) << "an old token";
  first->stop();
  scale(3);

  ASSERT_TRUE(host.wait_running(3));
  for (const auto& id : before) EXPECT_TRUE(host.running().contains(id)) << "nothing was restarted";
}

TEST_F(SchedulerTest, HandsTheLeadToASuccessorWhichStartsNothingTwice) {
  FakeHost host(door_, "h1");
  const auto first = start();
  Scheduler second(door_, log_, {}, "node1");
  second.start();  // it reads along
  scale(5);
  ASSERT_TRUE(host.wait_running(5));
  const auto before = host.running();
  const auto token = store_.get(kLeaderKey).value()->create_revision;
  first->quiesce();

  second.take_over(first->hand_over());
  second.activate();

  EXPECT_TRUE(run(second, R"({"app_id":"a","args":["x"]})").ok());
  first->stop();
  scale(6);
  ASSERT_TRUE(host.wait_running(7));
  for (const auto& id : before) EXPECT_TRUE(host.running().contains(id)) << "nothing was restarted";
  EXPECT_EQ(store_.get(kLeaderKey).value()->create_revision, token) << "one lead, never let go";
}

TEST_F(SchedulerTest, LeadsAgainWhenItIsResumedAndTheSuccessorIsGone) {
  FakeHost host(door_, "h1");
  const auto first = start();
  scale(1);
  ASSERT_TRUE(host.wait_running(1));
  first->quiesce();
  auto second = std::make_unique<Scheduler>(door_, log_, SchedulerOptions{}, "node1");
  second->start();
  second->take_over(first->hand_over());
  second->activate();
  ASSERT_TRUE(run(*second, R"({"app_id":"a","args":["x"]})").ok());
  second->quiesce();

  first->activate();
  second.reset();

  EXPECT_TRUE(run(*first, R"({"app_id":"a","args":["x"]})").ok());
  scale(2);
  EXPECT_TRUE(host.wait_running(4));
}

TEST_F(SchedulerTest, ReplacesJobsOfAHostThatIsGoneForGood) {
  FakeHost first(door_, "h1");
  SchedulerOptions options;
  options.plan.host_grace_ms = 100;
  const auto scheduler = start(options);
  scale(2);
  ASSERT_TRUE(first.wait_running(2));

  FakeHost second(door_, "h2");
  first.go();

  ASSERT_TRUE(second.wait_running(2));
  ASSERT_TRUE(first.wait_running(0));
  const auto statuses = store_.range("jobs/status/h1/");
  EXPECT_EQ(statuses->kvs.size(), 2u);
  for (const auto& kv : statuses->kvs)
    EXPECT_EQ(string_or(kv.value.as_object(), "error"), "host h1 is gone; the job was replaced");
}

TEST_F(SchedulerTest, CommitsAThousandJobsInASecondOrTwo) {
  // No host takes them up: what is measured is the plan and its transactions on a real disk.
  put("hosts/h1", R"({"id":"h1","capacity":{"memory_bytes":1099511627776,"cpu_millis":1000000}})");
  const auto scheduler = start();
  ASSERT_TRUE(run(*scheduler, R"({"app_id":"a","args":["x"]})").ok()) << "it leads";
  QuietLog quiet;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t specs = 0;
  StoreMirror mirror(door_, quiet, "jobs/spec/",
                     {[&](const RangeResult&) {},
                      [&](std::int64_t, const std::vector<StoreEvent>& events) {
                        const std::lock_guard lock(mutex);
                        specs += events.size();
                        changed.notify_all();
                      }});
  mirror.start("count-specs");
  const auto begin = std::chrono::steady_clock::now();

  scale(1000);

  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, 15s, [&] { return specs >= 1000; }));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  lock.unlock();
  mirror.stop();
  RecordProperty("milliseconds", std::to_string(took.count()));
  std::printf("1,000 jobs planned and committed in %.0f ms\n", took.count());
  EXPECT_EQ(count("jobs/spec/"), 1001u) << "not one too many";
}

}  // namespace
}  // namespace flynn::scheduler
