// Instances of the controller that follow each other on one store, as in a swap.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "companions_test.h"
#include "controller.h"

namespace flynn::controller {
namespace {

/// The node as one of the instances reaches it. Thread: [any].
class CountingDoor : public Door {
 public:
  using Door::call;
  explicit CountingDoor(Door& node) : node_(node) {}
  /// Calls that change something.
  int acts() const { return acts_; }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>& fds) override {
    if (method == "Txn" || method == "Configure" || method == "Swap" || interface == "flynn.discovery/1") ++acts_;
    return node_.call(interface, method, body, deadline, fds);
  }

 private:
  Door& node_;
  std::atomic<int> acts_{0};
};

UniqueFd listening_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

class ControllerSwap : public testing::Test {
 protected:
  struct Instance {
    explicit Instance(CompanionsDoor& node, Log& log) : door(node) {
      Settings settings;
      settings.data_dir = node.folder().string();
      settings.auth_keys = {"secret"};
      settings.advertise = "127.0.0.1:1";
      controller = std::make_unique<Controller>(door, log, settings);
      EXPECT_TRUE(controller->start().ok());
      EXPECT_TRUE(controller->prepare(listening_socket()).ok());
    }
    HttpResponse ask(const std::string& method, const std::string& path, const json::object& body = {}) {
      HttpRequest request;
      request.method = method;
      request.content_type = request.accept = "application/json";
      request.streams = false;
      request.body = json::serialize(body);
      EXPECT_TRUE(parse_target(path, request));
      return controller->dispatch(request);
    }
    json::object get(const std::string& path) {
      auto answer = parse_json_object(ask("GET", path).body);
      return answer ? *answer : json::object{};
    }
    /// The id of what it has made.
    std::string made(const std::string& path, const json::object& body) {
      const auto answer = ask("POST", path, body);
      EXPECT_EQ(answer.status, 200) << answer.body;
      return text_of(parse_json_object(answer.body).value_or(json::object{}), "id");
    }
    /// It has heard of the job's state.
    bool has_seen(const std::string& job, const std::string& state) {
      return eventually([&] { return text_of(get("/apps/shop/jobs/" + job), "state") == state; });
    }
    bool has_told(const std::string& job, const std::string& state) {
      return eventually([&] {
        const auto told = states_told(job);
        return !told.empty() && told.front() == state;
      });
    }
    /// The states of the job that events tell, the newest first.
    std::vector<std::string> states_told(const std::string& job) {
      auto answer = parse_json(ask("GET", "/events?object_types=job").body);
      std::vector<std::string> states;
      if (!answer || !answer->is_array()) return states;
      for (const json::value& event : answer->get_array()) {
        const auto data = object_of(event.as_object(), "data");
        if (text_of(data, "uuid") == job) states.push_back(text_of(data, "state"));
      }
      return states;
    }
    bool knows_router_as(const std::string& version) {
      return eventually(
          [&] { return text_of(object_of(get("/apps/router/release"), "plugin"), "version") == version; });
    }
    Controller& operator*() const { return *controller; }
    Controller* operator->() const { return controller.get(); }

    CountingDoor door;
    std::unique_ptr<Controller> controller;
  };

  ControllerSwap() : old_(node_, log_) {
    node_.node.add("router", "1.0.0");
    EXPECT_TRUE(old_->activate().ok());
    EXPECT_EQ(old_.ask("POST", "/apps", {{"name", "shop"}}).status, 200);
    app_ = text_of(old_.get("/apps/shop"), "id");
    EXPECT_TRUE(old_.knows_router_as("1.0.0"));
  }
  static bool eventually(const std::function<bool()>& holds) {
    for (const auto deadline = Deadline::after(std::chrono::seconds(20)); !deadline.passed(); ::poll(nullptr, 0, 5))
      if (holds()) return true;
    return false;
  }
  void put_job(const std::string& id, const std::string& state, const std::string& release = new_uuid()) {
    const std::string now = "2026-01-31T12:00:00.000Z";
    node_.put_job_status({{"v", 1},
                          {"id", id},
                          {"host_id", "host0"},
                          {"app_id", app_},
                          {"app_name", "shop"},
                          {"release_id", release},
                          {"type", "web"},
                          {"kind", "service"},
                          {"state", state},
                          {"created_at", now},
                          {"updated_at", now}});
  }

  QuietLog log_;
  CompanionsDoor node_;
  std::string app_;
  Instance old_;
};

TEST_F(ControllerSwap, WatchesAndDoesNothingBeforeItIsActivated) {
  Instance next(node_, log_);
  const auto job = new_uuid();
  put_job(job, "up");

  EXPECT_TRUE(next.has_seen(job, "up"));
  EXPECT_TRUE(old_.has_told(job, "up"));

  EXPECT_EQ(next.door.acts(), 0);
}

TEST_F(ControllerSwap, ActsNoMoreAfterQuiesceAndTheNextOneDoes) {
  Instance next(node_, log_);
  old_->quiesce();
  const int acts = old_.door.acts();
  const auto job = new_uuid();
  put_job(job, "up");
  node_.node.swap("router", "2.0.0");
  EXPECT_TRUE(old_.has_seen(job, "up"));

  EXPECT_TRUE(next->activate().ok());

  EXPECT_TRUE(next.has_told(job, "up"));
  EXPECT_TRUE(next.knows_router_as("2.0.0"));
  EXPECT_EQ(next.states_told(job).size(), 1U);
  EXPECT_EQ(old_.door.acts(), acts);
}

TEST_F(ControllerSwap, TellsNothingThatWasTold) {
  Instance next(node_, log_);
  const auto job = new_uuid(), later = new_uuid();
  for (const char* state : {"starting", "up", "stopping"}) {
    put_job(job, state);
    EXPECT_TRUE(old_.has_told(job, state));
    EXPECT_TRUE(next.has_seen(job, state));
  }
  old_->quiesce();
  put_job(job, "down");
  put_job(later, "up");

  EXPECT_TRUE(next->activate().ok());

  EXPECT_TRUE(next.has_told(later, "up"));
  EXPECT_EQ(next.states_told(job), (std::vector<std::string>{"down", "stopping", "up", "starting"}));
}

TEST_F(ControllerSwap, TheNextOneDoesWhatTheOldOneIsStillAskedFor) {
  const auto artifact = old_.made(
      "/artifacts", {{"type", "flynn"},
                     {"uri", "http://blobstore.discoverd/i.json"},
                     {"manifest", {{"entrypoints", {{"_default", json::object{}}}}, {"rootfs", json::array{}}}}});
  const auto release = old_.made("/releases", {{"app_id", app_},
                                               {"artifacts", json::array{artifact}},
                                               {"processes", {{"web", {{"args", json::array{"serve"}}}}}}});
  Instance next(node_, log_);
  old_->quiesce();
  EXPECT_TRUE(next->activate().ok());
  const auto job = new_uuid();
  put_job(job, "starting", release);
  EXPECT_TRUE(next.has_told(job, "starting")) << "by then it has looked for what is to be done";

  // Of a client whose connection is still open.
  const auto scale = old_.ask("PUT", "/apps/shop/scale/" + release, {{"new_processes", {{"web", 1}}}});
  EXPECT_EQ(scale.status, 200) << scale.body;
  put_job(job, "up", release);

  EXPECT_TRUE(eventually([&] {
    return next.ask("GET", "/events?object_types=scale_request").body.find(R"("state":"complete")") !=
           std::string::npos;
  }));
}

TEST_F(ControllerSwap, TheNextOneEndsTheDeletionThatTheOldOneWasAt) {
  const auto job = new_uuid();
  put_job(job, "up");
  EXPECT_TRUE(old_.has_told(job, "up"));
  EXPECT_EQ(old_.ask("DELETE", "/apps/shop").status, 200);  // it waits for the job's end
  Instance next(node_, log_);

  old_->quiesce();
  EXPECT_EQ(old_.ask("GET", "/apps/shop").status, 200);
  EXPECT_TRUE(next->activate().ok());
  put_job(job, "down");

  EXPECT_TRUE(eventually([&] { return next.ask("GET", "/apps/shop").status == 404; }));
}

TEST_F(ControllerSwap, TheNextOneCarriesOutDeletionsThatTheOldOneIsStillAskedFor) {
  const auto artifact = old_.made(
      "/artifacts", {{"type", "flynn"},
                     {"uri", "http://blobstore.discoverd/i.json"},
                     {"manifest", {{"entrypoints", {{"_default", json::object{}}}}, {"rootfs", json::array{}}}}});
  const auto release = old_.made("/releases", {{"app_id", app_},
                                               {"artifacts", json::array{artifact}},
                                               {"processes", {{"web", {{"args", json::array{"serve"}}}}}}});
  EXPECT_EQ(old_.ask("POST", "/apps", {{"name", "left"}}).status, 200);
  const auto job = new_uuid();
  Instance next(node_, log_);
  old_->quiesce();
  EXPECT_TRUE(next->activate().ok());
  put_job(job, "up");
  EXPECT_TRUE(next.has_told(job, "up")) << "by then it has looked for what is to be done";
  EXPECT_EQ(next.ask("POST", "/apps", {{"name", "first"}}).status, 200);
  EXPECT_EQ(next.ask("DELETE", "/apps/first").status, 200);
  EXPECT_TRUE(eventually([&] { return next.ask("GET", "/apps/first").status == 404; }));

  // Of clients whose connections are still open.
  EXPECT_EQ(old_.ask("DELETE", "/apps/left").status, 200);
  EXPECT_EQ(old_.ask("DELETE", "/apps/shop/releases/" + release).status, 200);
  EXPECT_EQ(old_.ask("POST", "/apps/shop/gc").status, 200);

  EXPECT_TRUE(eventually([&] { return next.ask("GET", "/apps/left").status == 404; }));
  EXPECT_TRUE(eventually([&] { return next.ask("GET", "/releases/" + release).status == 404; }));
  const auto told = [&](const std::string& type) {
    const auto events = parse_json(next.ask("GET", "/events?app_id=" + app_ + "&object_types=" + type).body);
    return events && events->is_array() ? events->get_array().size() : 0U;
  };
  EXPECT_TRUE(eventually([&] { return told("app_garbage_collection") == 1; }));
  EXPECT_EQ(told("release_deletion"), 1U);
}

TEST_F(ControllerSwap, ADeletionThatAnOlderVersionMarkedIsCarriedOut) {
  old_->quiesce();
  const auto stored = node_.call("flynn.store/1", "Get", {{"key", "apps/" + app_}});
  ASSERT_TRUE(stored.ok());
  json::object app = object_of(object_of(stored->body, "kv"), "value");
  app["_deleting"] = true;  // and no note
  const json::object put{{"put", {{"key", "apps/" + app_}, {"value", app}}}};
  ASSERT_TRUE(node_
                  .call("flynn.store/1", "Txn",
                        {{"compare", json::array{}}, {"then", json::array{put}}, {"else", json::array{}}})
                  .ok());
  Instance next(node_, log_);

  EXPECT_TRUE(next->activate().ok());

  EXPECT_TRUE(eventually([&] { return next.ask("GET", "/apps/shop").status == 404; }));
}

TEST_F(ControllerSwap, WorksAgainAfterASwapThatFailed) {
  old_->quiesce();
  const auto job = new_uuid();
  put_job(job, "up");
  node_.node.swap("router", "2.0.0");
  // Of a client whose connection is still open.
  EXPECT_EQ(old_.ask("DELETE", "/apps/shop").status, 200);
  EXPECT_TRUE(eventually([&] { return old_.ask("GET", "/apps/shop/jobs/" + job).status == 200; }));

  EXPECT_TRUE(old_->activate().ok());

  EXPECT_TRUE(old_.has_told(job, "up"));
  EXPECT_TRUE(old_.knows_router_as("2.0.0"));
  put_job(job, "down");
  EXPECT_TRUE(eventually([&] { return old_.ask("GET", "/apps/shop").status == 404; }));
}

TEST_F(ControllerSwap, WorksAgainAfterTheNextOneWasInForceForAWhile) {
  const auto first = new_uuid(), second = new_uuid();
  put_job(first, "starting");
  EXPECT_TRUE(old_.has_told(first, "starting"));
  old_->quiesce();
  {
    Instance next(node_, log_);
    EXPECT_TRUE(next->activate().ok());
    put_job(first, "up");
    EXPECT_TRUE(next.has_told(first, "up"));
    put_job(first, "down");
    EXPECT_TRUE(next.has_told(first, "down"));
    EXPECT_TRUE(old_.has_seen(first, "down"));
    next->quiesce();
    EXPECT_TRUE(old_->activate().ok());
  }

  put_job(second, "up");

  EXPECT_TRUE(old_.has_told(second, "up"));
  EXPECT_EQ(old_.states_told(first), (std::vector<std::string>{"down", "up", "starting"}));
}

}  // namespace
}  // namespace flynn::controller
