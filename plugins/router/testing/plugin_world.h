// The built plugin through the C ABI, for tests: a host, a store and a discovery that the test controls.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <condition_variable>
#include <map>
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
    table.log = [](const flynn_host* host, int32_t, flynn_bytes event, flynn_bytes fields) {
      auto& world = *static_cast<World*>(host->ctx);
      const std::lock_guard lock(world.mutex_);
      world.log_.push_back(text_of(event) + " " + text_of(fields));
    };
    table.listener = [](const flynn_host* host, flynn_bytes name, int* fd, flynn_error* error) -> flynn_status {
      auto& world = *static_cast<World*>(host->ctx);
      if (text_of(name).starts_with(kTcpName)) return world.lend_tcp(text_of(name), fd, error);
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
    instances_.clear();
  }
  void set_first_instances(std::string lines) {
    const std::lock_guard lock(mutex_);
    first_instances_ = std::move(lines);
  }
  void set_first_routes(std::string kvs) { first_routes_ = std::move(kvs); }
  void close() {
    const std::lock_guard lock(mutex_);
    routes_.clear();
    instances_.clear();
  }
  int watches() {
    const std::lock_guard lock(mutex_);
    return watches_;
  }

  /// A port of the range "router.tcp", bound and not listening yet.
  int add_tcp_port() {
    const std::lock_guard lock(mutex_);
    const auto chosen = bind_to(0);
    const int port = port_of(chosen.get());
    // A socket that was not bound to a certain port loses it with its shutdown.
    tcp_[port] = bind_to(port);
    return port;
  }
  /// A port of the range that somebody else may have: it is bound when it is lent.
  void add_tcp_port(int port) {
    const std::lock_guard lock(mutex_);
    tcp_[port];
  }
  /// The log's lines with that event.
  std::vector<std::string> logged(std::string_view event) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const auto& line : log_)
      if (line.starts_with(std::string(event) + " ")) found.push_back(line);
    return found;
  }

  flynn_host table{};
  int https_listener = -1;  // borrowed; none: not lent

 private:
  static constexpr std::string_view kTcpName = "router.tcp:";

  static UniqueFd bind_to(int port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
  }

  // As the core does it: one socket for all who borrow it, listening whatever an earlier one did to it.
  flynn_status lend_tcp(const std::string& name, int* fd, flynn_error* error) {
    const std::lock_guard lock(mutex_);
    const auto refuse = [&](flynn_status code, const std::string& message) {
      error->message_size =
          static_cast<decltype(error->message_size)>(message.copy(error->message, sizeof error->message));
      return code;
    };
    const int port = std::stoi(name.substr(kTcpName.size()));
    const auto found = tcp_.find(port);
    if (found == tcp_.end()) return refuse(FLYNN_E_NOT_FOUND, "port " + std::to_string(port) + " is not in the range");
    if (!found->second) found->second = bind_to(port);
    if (!found->second || ::listen(found->second.get(), 1024) != 0) {
      found->second.reset();
      return refuse(FLYNN_E_UNAVAILABLE, "port " + std::to_string(port) + " is in use");
    }
    *fd = ::fcntl(found->second.get(), F_DUPFD_CLOEXEC, 0);
    return FLYNN_OK;
  }

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
      EXPECT_TRUE(write_all(instances_.back().get(), first_instances_, Deadline::after(std::chrono::seconds(5))).ok());
    } else {
      reply->set_error(reply, FLYNN_E_UNAVAILABLE, bytes("nobody provides it"), bytes(""));
      return FLYNN_E_UNAVAILABLE;
    }
    return FLYNN_OK;
  }

  void stream(std::vector<UniqueFd>& ours, flynn_reply* reply, std::string_view body) {
    auto pair = make_stream();
    ours.push_back(std::move(pair->first));
    watched_.notify_all();
    reply->set_body(reply, bytes(body));
    reply->add_fd(reply, pair->second.release());
  }

  // To every instance; one that has gone is forgotten.
  void tell(std::vector<UniqueFd>& streams, const std::string& line) {
    std::unique_lock lock(mutex_);
    // One that has read the routes may be about to open its watch; nothing is kept here for it until then.
    watched_.wait_for(lock, std::chrono::seconds(20), [&] { return !streams.empty(); });
    std::erase_if(streams, [&](const UniqueFd& stream) {
      return !write_all(stream.get(), line + "\n", Deadline::after(std::chrono::seconds(5))).ok();
    });
    EXPECT_FALSE(streams.empty());
  }

  int listener_;
  std::mutex mutex_;
  std::condition_variable watched_;           // a stream was opened
  std::vector<UniqueFd> routes_, instances_;  // of each instance
  std::string first_routes_, first_instances_;
  int watches_ = 0;
  std::map<int, UniqueFd> tcp_;
  std::vector<std::string> log_;
};

inline std::string route_kv(const std::string& id, const std::string& domain) {
  return R"({"key":"routes/http/)" + id +
         R"(","create_revision":1,"mod_revision":1,"version":1,"value":{"v":1,"domain":")" + domain +
         R"(","path":"/","service":"app-web","parent_ref":"controller/apps/a1"}})";
}

inline std::string tcp_route_kv(const std::string& id, int port, const std::string& service = "app-web",
                                bool leader = false) {
  return R"({"key":"routes/tcp/)" + id +
         R"(","create_revision":1,"mod_revision":1,"version":1,"value":{"v":1,"type":"tcp","port":)" +
         std::to_string(port) + R"(,"service":")" + service + R"(","leader":)" + (leader ? "true" : "false") +
         R"(,"parent_ref":"controller/apps/a1"}})";
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
