// Pages and filters of the controller's API over HTTP, on a real store with 1,000 apps, 10,000 releases and 100,000
// events; then 500 idle event streams: threads, memory, and the same after 10,000 more events.
// Usage: bench_controller [FOLDER]; FOLDER must lie on the disk that is to be measured.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../store/store.h"
#include "controller.h"
#include "flynn/sdk/stream.h"

namespace {

using namespace flynn;  // a program of one file
using Clock = std::chrono::steady_clock;

constexpr int kApps = 1000, kReleases = 10'000, kEvents = 100'000, kStreams = 500, kRounds = 31;

struct QuietLog : Log {
  void write(LogLevel level, std::string_view event, const json::object& fields) override {
    if (level >= LogLevel::warn)
      std::fprintf(stderr, "%.*s %s\n", static_cast<int>(event.size()), event.data(), to_text(fields).c_str());
  }
};

/// A door behind which the real store answers, and nobody else.
class StoreDoor : public Door {
 public:
  using Door::call;
  explicit StoreDoor(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder / "data");
    store::StoreOptions options;
    options.journal.folder = folder / "data";
    options.journal.key_file = folder / "key";
    auto opened = store::Store::open(options, log_);
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
    store_->activate();
  }
  ~StoreDoor() override { store_->stop(); }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>&) override {
    if (interface == "flynn.store/1") return store_->call(method, body, deadline);
    return Error{Code::unavailable, "no such provider here"};
  }

 private:
  QuietLog log_;
  std::unique_ptr<store::Store> store_;
};

/// Puts in transactions of as many operations as the store takes.
class Seeder {
 public:
  explicit Seeder(Door& door) : door_(door) {}
  void put(const std::string& key, json::object value) {
    value["v"] = 1;
    operations_.push_back(json::object{{"put", json::object{{"key", key}, {"value", std::move(value)}}}});
    if (operations_.size() == 128) flush();
  }
  void flush() {
    if (operations_.empty()) return;
    auto done = door_.call("flynn.store/1", "Txn", {{"compare", json::array{}}, {"then", std::move(operations_)}},
                           Deadline::after(std::chrono::seconds(30)), {});
    if (!done) throw std::runtime_error(done.error().message);
    operations_ = json::array{};
  }

 private:
  Door& door_;
  json::array operations_;
};

struct World {
  std::vector<std::string> apps, releases;
  std::string rare_object;
};

json::object release_document(const std::string& id, const std::string& app) {
  json::object env;
  for (int i = 0; i < 20; ++i) env["VARIABLE_" + std::to_string(i)] = "a value of the length that values often have";
  return {{"id", id},
          {"app_id", app},
          {"artifacts", {new_uuid()}},
          {"env", env},
          {"processes", {{"web", {{"args", {"start", "web"}}}}}},
          {"created_at", "2026-01-31T12:00:00.000Z"}};
}

World seed(Door& door) {
  World world;
  Seeder seeder(door);
  for (int i = 0; i < kApps; ++i) {
    const std::string id = new_uuid(), name = "app-" + std::to_string(i);
    world.apps.push_back(id);
    seeder.put("apps/" + id, {{"id", id},
                              {"name", name},
                              {"meta", json::object{}},
                              {"strategy", "all-at-once"},
                              {"deploy_timeout", 120},
                              {"created_at", "2026-01-31T12:00:00.000Z"}});
    seeder.put("app-names/" + name, {{"app_id", id}});
  }
  for (int i = 0; i < kReleases; ++i) {
    const std::string id = new_uuid(), app = world.apps[static_cast<std::size_t>(i % kApps)];
    world.releases.push_back(id);
    seeder.put("releases/" + id, release_document(id, app));
    seeder.put("app-releases/" + app + "/" + id, {{"created_at", "2026-01-31T12:00:00.000Z"}});
  }
  for (int i = 1; i <= kEvents; ++i) {
    const std::string app = world.apps[static_cast<std::size_t>(i % kApps)];
    const bool rare = i % 5000 == 0;
    const std::string object = new_uuid();
    if (rare) world.rare_object = object;
    seeder.put(controller::Store::event_key(i), {{"id", i},
                                                 {"app", app},
                                                 {"object_type", rare         ? "app_deletion"
                                                                 : i % 3 == 0 ? "deployment"
                                                                              : "job"},
                                                 {"object_id", object},
                                                 {"data", {{"id", object}, {"state", "up"}, {"type", "web"}}},
                                                 {"created_at", "2026-01-31T12:00:00.000Z"}});
  }
  seeder.flush();
  return world;
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("connect: the controller does not listen");
  return fd;
}

void send_get(int fd, const std::string& target, const char* accept) {
  const std::string text = "GET " + target +
                           " HTTP/1.1\r\nHost: c\r\nAuthorization: Basic OnNlY3JldA==\r\nAccept: " + accept +
                           "\r\nConnection: close\r\n\r\n";
  if (!write_all(fd, text, Deadline::after(std::chrono::seconds(10)))) throw std::runtime_error("send failed");
}

std::size_t read_to_end(int fd) {
  std::string head;
  std::size_t total = 0;
  char chunk[65536];
  for (ssize_t size; (size = ::recv(fd, chunk, sizeof chunk, 0)) > 0; total += static_cast<std::size_t>(size)) {
    if (head.size() < 16) head.append(chunk, static_cast<std::size_t>(size));
  }
  if (!head.starts_with("HTTP/1.1 200")) throw std::runtime_error("answer: " + head.substr(0, 200));
  return total;
}

void measure(std::uint16_t port, const char* what, const std::string& target) {
  std::vector<double> times;
  std::size_t bytes = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto begun = Clock::now();
    const int fd = connect_to(port);
    send_get(fd, target, "application/json");
    bytes = read_to_end(fd);
    ::close(fd);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%-46s median %7.2f ms  (%.2f–%.2f)  %zu bytes\n", what, times[times.size() / 2], times.front(),
              times.back(), bytes);
}

long status_of(const char* name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return std::stol(line.substr(line.find(':') + 1));
  }
  return -1;
}

void show_process(const char* what) {
  std::printf("%-46s %ld threads, %.1f MB resident\n", what, status_of("Threads"),
              static_cast<double>(status_of("VmRSS")) / 1024);
}

int run(const std::filesystem::path& folder) {
  StoreDoor door(folder);
  auto begun = Clock::now();
  const World world = seed(door);
  std::printf("seeded in %.1f s\n", std::chrono::duration<double>(Clock::now() - begun).count());

  QuietLog log;
  controller::Settings settings;
  settings.data_dir = folder.string();
  settings.auth_keys = {"secret"};
  controller::ListenerOptions options;
  options.connections_max = 2 * kStreams;
  controller::Controller served(door, log, settings, options, std::chrono::seconds(30));
  if (!served.start()) return 1;
  UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listening.get(), 512) != 0 ||
      ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 1;
  const std::uint16_t port = ntohs(address.sin_port);
  begun = Clock::now();
  if (!served.prepare(std::move(listening)) || !served.activate()) return 1;
  if (served.context().events.catch_up(served.context().store, served.context().stopping)) return 1;
  std::printf("events indexed in %.2f s\n\n", std::chrono::duration<double>(Clock::now() - begun).count());

  const std::string app = world.apps[500];
  measure(port, "one app by name", "/apps/app-500");
  measure(port, "all 1,000 apps", "/apps");
  measure(port, "apps, first page of 100", "/apps?count=100");
  measure(port, "apps, a page from the middle", "/apps?count=100&before=" + app);
  measure(port, "releases, first page of 100", "/releases?count=100");
  measure(port, "releases, a page from the middle", "/releases?count=100&before=" + world.releases[5000]);
  measure(port, "releases of an app", "/apps/app-500/releases");
  measure(port, "events, newest 100", "/events?count=100");
  measure(port, "events, 100 from the middle", "/events?count=100&before_id=50000");
  measure(port, "events of an app, all 100", "/events?app_id=app-500");
  measure(port, "events of a rare type (20 of 100,000)", "/events?object_types=app_deletion");
  measure(port, "events of one object", "/events?object_id=" + world.rare_object);
  measure(port, "deployments of an app among events", "/events?app_id=app-501&object_types=deployment&count=50");

  std::printf("\n");
  show_process("before the streams");
  std::vector<UniqueFd> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.emplace_back(connect_to(port));
    send_get(streams.back().get(), "/events?app_id=app-" + std::to_string(i), "text/event-stream");
    char head[512];
    if (::recv(streams.back().get(), head, sizeof head, 0) <= 0) return 1;
  }
  show_process("500 idle event streams");
  Seeder seeder(door);
  for (int i = 1; i <= 10'000; ++i) {
    const std::string other = world.apps[static_cast<std::size_t>(kStreams + i % (kApps - kStreams))];
    seeder.put(controller::Store::event_key(kEvents + i), {{"id", kEvents + i},
                                                           {"app", other},
                                                           {"object_type", "job"},
                                                           {"object_id", new_uuid()},
                                                           {"data", {{"state", "up"}}},
                                                           {"created_at", "2026-01-31T12:00:00.000Z"}});
  }
  seeder.flush();
  measure(port, "one app by name, beside the streams", "/apps/app-500");
  show_process("the same after 10,000 events of others");
  streams.clear();
  served.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string pattern = (std::filesystem::path(argc > 1 ? argv[1] : "/var/tmp") / "flynn-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return std::perror("make a folder"), 1;
  int result = 1;
  try {
    result = run(pattern);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_controller: %s\n", error.what());
  }
  std::filesystem::remove_all(pattern);
  return result;
}
