// The built plugin through the C ABI, between a host, a store and a discovery that the test controls.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <fstream>
#include <mutex>
#include <string>

#include "flynn/plugin.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/stream.h"
#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::Peer;
using testing::TestBackend;

flynn_bytes bytes(std::string_view text) { return {text.data(), text.size()}; }
std::string text_of(flynn_bytes b) { return {b.data, b.size}; }

std::size_t entries(const char* folder) {
  std::size_t count = 0;
  DIR* dir = ::opendir(folder);
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

bool is_mapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(path) != std::string::npos) return true;
  return false;
}

/// What the plugin sees of the world. Streams are real socket pairs whose other ends the test writes.
class World {
 public:
  explicit World(int listener) : listener_(listener) {
    table.struct_size = sizeof table;
    table.abi_major = FLYNN_ABI_MAJOR;
    table.ctx = this;
    table.call = [](const flynn_host* host, const flynn_call* call, flynn_reply* reply) {
      return static_cast<World*>(host->ctx)->call(*call, reply);
    };
    table.log = [](const flynn_host*, int32_t, flynn_bytes, flynn_bytes) {};
    table.listener = [](const flynn_host* host, flynn_bytes name, int* fd, flynn_error*) -> flynn_status {
      if (text_of(name) != "router.http") return FLYNN_E_NOT_FOUND;
      *fd = ::fcntl(static_cast<World*>(host->ctx)->listener_, F_DUPFD_CLOEXEC, 0);
      return FLYNN_OK;
    };
    table.info = [](const flynn_host*, flynn_reply* reply) { reply->set_body(reply, bytes(R"({"slot":"router"})")); };
  }

  void tell_routes(const std::string& line) { tell(routes_, line); }
  void tell_instances(const std::string& line) { tell(instances_, line); }
  /// As a swap of discovery looks: the stream ends without an error.
  void end_instances() {
    const std::lock_guard lock(mutex_);
    instances_.reset();
  }
  void set_first_instances(std::string lines) {
    const std::lock_guard lock(mutex_);
    first_instances_ = std::move(lines);
  }
  void set_first_routes(std::string kvs) { first_routes_ = std::move(kvs); }
  void close() {
    const std::lock_guard lock(mutex_);
    routes_.reset();
    instances_.reset();
  }
  int watches() {
    const std::lock_guard lock(mutex_);
    return watches_;
  }

  flynn_host table{};

 private:
  flynn_status call(const flynn_call& call, flynn_reply* reply) {
    const auto method = text_of(call.interface) + "." + text_of(call.method);
    const std::lock_guard lock(mutex_);
    if (method == "flynn.store/1.Range") {
      reply->set_body(reply, bytes(R"({"kvs":[)" + first_routes_ + R"(],"count":1,"more":false,"revision":7})"));
    } else if (method == "flynn.store/1.Watch") {
      stream(routes_, reply, R"({"revision":7})");
    } else if (method == "flynn.discovery/1.Watch") {
      ++watches_;
      stream(instances_, reply, "{}");
      EXPECT_TRUE(write_all(instances_.get(), first_instances_, Deadline::after(std::chrono::seconds(5))).ok());
    } else {
      reply->set_error(reply, FLYNN_E_UNAVAILABLE, bytes("nobody provides it"), bytes(""));
      return FLYNN_E_UNAVAILABLE;
    }
    return FLYNN_OK;
  }

  static void stream(UniqueFd& ours, flynn_reply* reply, std::string_view body) {
    auto pair = make_stream();
    ours = std::move(pair->first);
    reply->set_body(reply, bytes(body));
    reply->add_fd(reply, pair->second.release());
  }

  void tell(UniqueFd& stream, const std::string& line) {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(write_all(stream.get(), line + "\n", Deadline::after(std::chrono::seconds(5))).ok());
  }

  int listener_;
  std::mutex mutex_;
  UniqueFd routes_, instances_;
  std::string first_routes_, first_instances_;
  int watches_ = 0;
};

std::string route_kv(const std::string& id, const std::string& domain) {
  return R"({"key":"routes/http/)" + id +
         R"(","create_revision":1,"mod_revision":1,"version":1,"value":{"v":1,"domain":")" + domain +
         R"(","path":"/","service":"app-web","parent_ref":"controller/apps/a1"}})";
}

std::string instance(const std::string& kind, const std::string& id, const std::string& addr) {
  return R"({"kind":")" + kind + R"(","service":"app-web","instance":{"service":"app-web","id":")" + id +
         R"(","addr":")" + addr + R"(","proto":"tcp","meta":{},"index":1}})";
}

const std::string kCurrent = "{\"kind\":\"current\"}\n";

/// One loaded and created instance.
class Loaded {
 public:
  explicit Loaded(World& world) {
    image_ = ::dlopen(ROUTER_SO, RTLD_NOW | RTLD_LOCAL);
    if (image_ == nullptr) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<decltype(&flynn_plugin_entry_1)>(::dlsym(image_, "flynn_plugin_entry_1"));
    error_.struct_size = sizeof error_;
    EXPECT_EQ(entry()->create(&world.table, &self_, &vt, &error_), FLYNN_OK);
  }
  ~Loaded() {
    vt->destroy(self_);
    ::dlclose(image_);
  }
  void run(flynn_status (*step)(void*, flynn_error*)) { EXPECT_EQ(step(self_, &error_), FLYNN_OK) << error_.message; }
  void configure(std::string_view config) { EXPECT_EQ(vt->configure(self_, bytes(config), &error_), FLYNN_OK); }
  void drain(int ms) { EXPECT_EQ(vt->drain(self_, testing::deadline_in(ms), &error_), FLYNN_OK); }
  void stop() { EXPECT_EQ(vt->stop(self_, testing::deadline_in(5000), &error_), FLYNN_OK); }
  json::object call(std::string_view method, std::string_view body) {
    flynn_call request{};
    request.struct_size = sizeof request;
    request.interface = bytes("flynn.router/1");
    request.method = bytes(method);
    request.body = bytes(body);
    std::string answer;
    flynn_reply reply{sizeof(flynn_reply),
                      0,
                      &answer,
                      [](flynn_reply* r, flynn_bytes b) { *static_cast<std::string*>(r->ctx) = text_of(b); },
                      [](flynn_reply*, int fd) { ::close(fd); },
                      [](flynn_reply*, flynn_status, flynn_bytes, flynn_bytes) {}};
    EXPECT_EQ(vt->handle(self_, &request, &reply), FLYNN_OK);
    auto document = parse_json_object(answer);
    return document ? *document : json::object{};
  }

  const flynn_instance_vt* vt = nullptr;

 private:
  void* image_ = nullptr;
  void* self_ = nullptr;
  flynn_error error_{};
};

int status_for(int port, const std::string& host) {
  return Peer::connect(port).ask("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").status;
}

/// Asks until the answer is `wanted`; changes reach traffic in their own time. The deadline is that of the test's run.
bool becomes(int port, const std::string& host, int wanted) {
  const auto deadline = Deadline::after(std::chrono::seconds(8));
  while (!deadline.passed())
    if (status_for(port, host) == wanted) return true;
  return false;
}

class RouterPlugin : public ::testing::Test {
 protected:
  RouterPlugin()
      : listener_(testing::listen_anywhere()), port_(testing::port_of(listener_.get())), world_(listener_.get()) {
    world_.set_first_routes(route_kv("r1", "one.test"));
    world_.set_first_instances(instance("up", "i1", backend_.addr()) + "\n" + kCurrent);
  }

  TestBackend backend_{testing::echo_requests};
  UniqueFd listener_;
  int port_;
  World world_;
};

TEST_F(RouterPlugin, ServesWhatStoreAndDiscoverySayAndFollowsTheirChanges) {
  Loaded router(world_);
  router.configure(R"({"threads":2,"wait_backend_ms":0})");
  router.run(router.vt->start);
  router.run(router.vt->health);
  router.run(router.vt->activate);

  EXPECT_EQ(status_for(port_, "one.test"), 200);
  EXPECT_EQ(status_for(port_, "two.test"), 404);
  world_.tell_routes(R"({"revision":8,"events":[{"type":"put","kv":)" + route_kv("r2", "two.test") + "}]}");
  EXPECT_TRUE(becomes(port_, "two.test", 200));
  world_.tell_routes(R"({"revision":9,"events":[{"type":"delete","kv":{"key":"routes/http/r1","mod_revision":9}}]})");
  EXPECT_TRUE(becomes(port_, "one.test", 404));
  world_.tell_instances(instance("down", "i1", backend_.addr()));
  EXPECT_TRUE(becomes(port_, "two.test", 503));

  const auto check = router.call("Check", R"({"domain":"two.test"})");
  EXPECT_EQ(string_or(check, "route_id"), "r2");
  EXPECT_EQ(find_array(router.call("Routes", "{}"), "routes")->size(), 1u);
  EXPECT_GT(int_or(router.call("Stats", "{}"), "requests"), 3);
  router.stop();
}

TEST_F(RouterPlugin, ServesTheLastKnownWhileDiscoveryIsAwayAndThenTheNewState) {
  Loaded router(world_);
  router.configure(R"({"threads":1,"wait_backend_ms":0})");
  router.run(router.vt->start);
  router.run(router.vt->activate);
  ASSERT_EQ(status_for(port_, "one.test"), 200);
  world_.set_first_instances(kCurrent);

  world_.end_instances();

  EXPECT_TRUE(becomes(port_, "one.test", 503)) << "the instance that left meanwhile is gone";
  EXPECT_GE(world_.watches(), 2);
  router.stop();
}

TEST_F(RouterPlugin, OneGenerationTakesOverFromAnotherWithoutARefusedOrLostRequest) {
  auto old = std::make_unique<Loaded>(world_);
  old->configure(R"({"threads":2,"drain_idle_ms":200})");
  old->run(old->vt->start);
  old->run(old->vt->activate);
  std::atomic<bool> done{false};
  std::atomic<int> served{0}, lost{0};
  std::thread load([&] {
    // One keep-alive connection after another, as a client has them: a new one when the router says close.
    while (!done) {
      auto client = Peer::connect(port_);
      while (!done) {
        const auto answer = client.ask("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
        ++(answer.status == 200 ? served : lost);
        if (answer.status != 200 || answer.has("Connection: close\r\n")) break;
      }
    }
  });

  for (int swap = 0; swap < 10; ++swap) {
    auto next = std::make_unique<Loaded>(world_);
    next->configure(R"({"threads":2,"drain_idle_ms":200})");
    next->run(next->vt->start);
    next->run(next->vt->health);
    next->run(next->vt->activate);
    old->run(old->vt->quiesce);
    old->drain(5000);
    old->stop();
    old = std::move(next);
  }
  done = true;
  load.join();

  EXPECT_EQ(lost, 0);
  EXPECT_GT(served, 50);
  old->stop();
}

TEST_F(RouterPlugin, ResumesAfterQuiesce) {
  Loaded router(world_);
  router.configure("{}");
  router.run(router.vt->start);
  router.run(router.vt->activate);
  router.run(router.vt->quiesce);
  auto waiting = Peer::connect(port_);
  waiting.send("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");

  router.run(router.vt->resume);

  EXPECT_EQ(waiting.read_answer().status, 200);
  router.stop();
}

TEST_F(RouterPlugin, LeavesNothingBehind) {
  const auto cycle = [&] {
    Loaded router(world_);
    router.configure(R"({"threads":2})");
    router.run(router.vt->start);
    router.run(router.vt->activate);
    EXPECT_EQ(status_for(port_, "one.test"), 200);
    router.run(router.vt->quiesce);
    router.drain(2000);
    router.stop();
  };
  const auto own_threads = entries("/proc/self/task");
  cycle();  // what the first one makes for good (libraries that pin themselves) is not counted
  world_.close();
  const auto settled = Deadline::after(std::chrono::seconds(5));
  while (!settled.passed() && entries("/proc/self/task") != own_threads) continue;
  const auto descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  for (int i = 0; i < 10; ++i) cycle();
  world_.close();

  // The test backend's own threads end as soon as they have seen the router's connections end.
  const auto deadline = Deadline::after(std::chrono::seconds(5));
  while (!deadline.passed() && (entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads))
    continue;
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries("/proc/self/task"), threads);
  EXPECT_FALSE(is_mapped(ROUTER_SO)) << "the image is still mapped";
}

}  // namespace
}  // namespace flynn::router
