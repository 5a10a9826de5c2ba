// The host's API as it stands on a node, for tests: a real agent, store, scheduler, blobstore and listener. The machine
// was made but not set up, so that jobs are known, fail to start, and leave nothing behind.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "../blobstore/blob_files.h"
#include "../scheduler/scheduler.h"
#include "../store/store.h"
#include "files.h"
#include "flynn/sdk/uuid.h"
#include "host_api.h"

namespace flynn::host {

inline constexpr char kKey[] = "a key of sixteen or more";

class QuietLog : public Log {
 public:
  void write(LogLevel, std::string_view, const json::object&) override {}
};

/// The other plugins of the node. A layer is given only once let_layers_go() was said: a job waits for it until then.
/// Thread: [any].
class NodeDoor : public Door {
 public:
  using Door::call;
  explicit NodeDoor(const std::string& folder) {
    std::filesystem::create_directory(folder + "/store");
    store::StoreOptions options;
    options.journal.folder = folder + "/store";
    options.journal.key_file = folder + "/key";
    store_ = store::Store::open(options, log_).value();
    store_->activate();
    blobs_ = blobstore::BlobFiles::open(folder).value();
    scheduler_ = std::make_unique<scheduler::Scheduler>(*this, log_, scheduler::SchedulerOptions{}, "node1");
    scheduler_->start();
  }
  ~NodeDoor() override {
    scheduler_.reset();
    store_->stop();
  }
  /// From here on the scheduler takes jobs, and clears away those that have ended: they are forgotten at any time.
  void let_the_scheduler_lead() { scheduler_->activate(); }
  /// A blob under the layer's name; what is in it is no layer.
  void put_layer(const std::string& id) {
    UniqueFd source(::memfd_create("layer", MFD_CLOEXEC));
    const auto stored = blobs_->put("layers/" + id + ".squashfs", source.get(), std::nullopt,
                                    Deadline::after(std::chrono::seconds(10)));
    EXPECT_TRUE(stored) << stored.error().message;
  }
  void let_layers_go() {
    const std::lock_guard lock(mutex_);
    layers_held_ = false;
    changed_.notify_all();
  }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>&) override {
    if (interface == "flynn.store/1") return store_->call(method, body, deadline);
    if (interface == "flynn.blobstore/1") return blob(method, string_or(body, "name"));
    if (interface == "flynn.scheduler/1" && method == "Commit") return reply(scheduler_->commit(body, deadline));
    if (interface == "flynn.scheduler/1" && method == "Stop") return reply(scheduler_->stop_job(body, deadline));
    return Error{Code::unavailable, "no such provider here"};
  }

 private:
  static Result<Reply> reply(Result<json::object> body) {
    if (!body) return body.error();
    return Reply{std::move(*body)};
  }
  Result<Reply> blob(std::string_view method, const std::string& name) {
    if (method == "Get") {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !layers_held_; });
    }
    auto found = blobs_->get(name);
    if (!found) return found.error();
    return Reply{{}, std::move(found->file)};
  }

  QuietLog log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool layers_held_ = true;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<blobstore::BlobFiles> blobs_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

/// One connection to the API. Thread: the test's.
class ApiClient {
 public:
  explicit ApiClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = address_of(port);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  static sockaddr_in address_of(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  void send(const std::string& bytes) { EXPECT_TRUE(write_all(fd_.get(), bytes, Deadline::after(10s)).ok()); }
  /// Until `words` have come, or to the end when empty; all that has come.
  std::string read_until(const std::string& words) {
    const auto deadline = Deadline::after(20s);
    while (words.empty() || seen_.find(words) == std::string::npos) {
      pollfd waiting{fd_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, deadline.left_ms()) <= 0) {
        ADD_FAILURE() << "nothing more after: " << seen_;
        break;
      }
      char chunk[4096];
      const auto size = ::recv(fd_.get(), chunk, sizeof chunk, 0);
      if (size <= 0) {
        EXPECT_TRUE(words.empty()) << "the connection ended after: " << seen_;
        break;
      }
      seen_.append(chunk, static_cast<std::size_t>(size));
    }
    return seen_;
  }

 private:
  UniqueFd fd_;
  std::string seen_;
};

struct Answer {
  int status = 0;
  std::string body;
  json::value json() const { return parse_json(body).value_or(nullptr); }
};

inline Answer answer_of(const std::string& bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  return {std::atoi(bytes.substr(9, 3).c_str()), bytes.substr(end + 4)};
}

inline std::string request_text(const std::string& what, const std::string& body = {},
                                const std::string& headers = {}) {
  return what +
         " HTTP/1.1\r\nHost: 127.0.0.1:1113\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + headers + "\r\n" + body;
}

class HostApiNode : public ::testing::Test {
 protected:
  explicit HostApiNode(HostOptions options = {}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-host-api-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    door_ = std::make_unique<NodeDoor>(folder_);
    machine_ = Machine::make(*door_, NodePaths{folder_ + "/data", folder_ + "/run"}, std::move(options)).value();
    agent_ = std::make_unique<HostAgent>(*door_, log_, *machine_);
    volumes_ = std::make_unique<VolumeFolders>(machine_->paths(),
                                               [this](const std::string& app) { return agent_->running_job(app); });
    api_ = std::make_unique<HostApi>(*door_, log_, *machine_, *agent_, *volumes_,
                                     HostApiOptions{"1.2.0", {"another of sixteen", kKey}, true});
    UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto address = ApiClient::address_of(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listening.get(), 64), 0);
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    EXPECT_TRUE(api_->prepare(std::move(listening)).ok());
    api_->resume();
  }
  void SetUp() override { EXPECT_TRUE(agent_->activate().ok()); }
  ~HostApiNode() override {
    door_->let_layers_go();
    agent_->quiesce();
    api_.reset();
    agent_.reset();
    door_.reset();
    std::filesystem::remove_all(folder_);
  }

  Answer ask(const std::string& what, const std::string& body = {}, const std::string& headers = {}) {
    ApiClient client(port_);
    client.send(request_text(what, body, headers));
    return answer_of(client.read_until(""));
  }
  /// A stream of events that is open: what happens from here on comes.
  std::unique_ptr<ApiClient> given_listener(const std::string& path = "/host/jobs") {
    auto client = std::make_unique<ApiClient>(port_);
    client->send(request_text("GET " + path, {}, "Accept: text/event-stream\r\n"));
    client->read_until("\r\n\r\n");
    return client;
  }
  /// As the scheduler writes it; it waits for its layer until that is let go, and then fails: there is none.
  std::string given_job(const std::string& app = "app") {
    const auto id = new_uuid();
    const json::object spec{{"v", 1},
                            {"id", id},
                            {"app_id", app},
                            {"host_id", "node1"},
                            {"args", json::array{"run"}},
                            {"env", json::object{{"A", "b"}}},
                            {"layers", json::array{json::object{{"id", std::string(64, 'a')}, {"length", 1}}}}};
    EXPECT_TRUE(StoreClient(*door_).put("jobs/spec/node1/" + id, spec).ok());
    return id;
  }

  QuietLog log_;
  std::string folder_;
  std::unique_ptr<NodeDoor> door_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<HostAgent> agent_;
  std::unique_ptr<VolumeFolders> volumes_;
  std::unique_ptr<HostApi> api_;
  std::uint16_t port_ = 0;
};

}  // namespace flynn::host
