// The built plugin through the C ABI, for tests: a host, a store and a discovery that the test controls.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/plugin.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/stream.h"
#include "testing/peers.h"

namespace flynn::router::testing {

inline flynn_bytes bytes(std::string_view text) { return {text.data(), text.size()}; }
inline std::string text_of(flynn_bytes b) { return {b.data, b.size}; }

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
      const auto& world = *static_cast<World*>(host->ctx);
      const int lent = text_of(name) == "router.http"    ? world.listener_
                       : text_of(name) == "router.https" ? world.https_listener
                                                         : -1;
      if (lent < 0) return FLYNN_E_NOT_FOUND;
      *fd = ::fcntl(lent, F_DUPFD_CLOEXEC, 0);
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
  int https_listener = -1;  // borrowed; none: not lent

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

inline std::string route_kv(const std::string& id, const std::string& domain) {
  return R"({"key":"routes/http/)" + id +
         R"(","create_revision":1,"mod_revision":1,"version":1,"value":{"v":1,"domain":")" + domain +
         R"(","path":"/","service":"app-web","parent_ref":"controller/apps/a1"}})";
}

inline std::string instance(const std::string& kind, const std::string& id, const std::string& addr) {
  return R"({"kind":")" + kind + R"(","service":"app-web","instance":{"service":"app-web","id":")" + id +
         R"(","addr":")" + addr + R"(","proto":"tcp","meta":{},"index":1}})";
}

inline const std::string kCurrent = "{\"kind\":\"current\"}\n";

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
  /// As the host does it: descriptors are borrowed, and kept until the call has ended.
  struct Given {
    std::string document;
    std::vector<UniqueFd> fds;
    [[nodiscard]] json::object parsed() const { return parse_json_object(document).value_or(json::object{}); }
  };
  Given hand_over(unsigned share_permille, int ms) {
    Given given;
    flynn_reply reply{sizeof(flynn_reply),
                      0,
                      &given,
                      [](flynn_reply* r, flynn_bytes b) { static_cast<Given*>(r->ctx)->document = text_of(b); },
                      [](flynn_reply* r, int fd) { static_cast<Given*>(r->ctx)->fds.emplace_back(fd); },
                      [](flynn_reply*, flynn_status, flynn_bytes, flynn_bytes) {}};
    EXPECT_EQ(vt->hand_over(self_, share_permille, deadline_in(ms), &reply, &error_), FLYNN_OK) << error_.message;
    return given;
  }
  flynn_status take_over(const Given& given) {
    std::vector<int> fds;
    for (const auto& fd : given.fds) fds.push_back(fd.get());
    return vt->take_over(self_, bytes(given.document), fds.data(), static_cast<std::uint32_t>(fds.size()), &error_);
  }
  [[nodiscard]] std::string error() const { return {error_.message, error_.message_size}; }
  void drain(int ms) { EXPECT_EQ(vt->drain(self_, deadline_in(ms), &error_), FLYNN_OK); }
  void stop() { EXPECT_EQ(vt->stop(self_, deadline_in(5000), &error_), FLYNN_OK); }
  json::object call(std::string_view method, std::string_view body, std::string_view interface = "flynn.router/1") {
    flynn_call request{};
    request.struct_size = sizeof request;
    request.interface = bytes(interface);
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

}  // namespace flynn::router::testing
