// The other plugins as the builder meets them: a door that answers with little, and "runs" a build job by unpacking the
// source.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "flynn/sdk/host.h"
#include "flynn/sdk/stream.h"
#include "process/child.h"

namespace flynn::builder {

class FakePlatform : public Door, public Log {
 public:
  using Door::call;
  const std::string app_id = "11111111-2222-4333-8444-555555555555";
  std::map<std::string, json::object> keys;  // of the store
  bool web_fails = false;
  int build_status = 0;

  ~FakePlatform() override {
    for (auto& job : jobs_) job.join();
  }

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline,
                     const std::vector<int>& fds) override {
    std::lock_guard lock(mutex_);
    if (interface == "flynn.store/1") return store(body);
    if (interface == "flynn.scheduler/1" && method == "Run") {
      for (const json::value& mount : *find_array(body, "mounts")) {
        mounts_[string_or(mount.get_object(), "target")] = string_or(mount.get_object(), "source");
      }
      return Reply{{{"job_id", "job1"}, {"host_id", "node1"}}};
    }
    if (interface == "flynn.scheduler/1") return Reply{};
    if (interface == "flynn.host/1") return attach();
    if (interface == "flynn.blobstore/1") {
      blobs.insert(string_or(body, "name"));
      return fds.empty() ? Result<Reply>(Error{Code::invalid_argument, "no source"}) : Reply{};
    }
    // user:secret
    if (interface == "flynn.controller/1" && method == "Authorize")
      return Reply{{{"allowed", string_or(body, "authorization") == "Basic dXNlcjpzZWNyZXQ="}}};
    if (interface == "flynn.controller/1") return controller(string_or(body, "method"), string_or(body, "path"), body);
    return Error{Code::unavailable, "nobody provides it"};
  }
  void write(LogLevel, std::string_view, const json::object&) override {}

  /// A copy of the last request to a path of the controller.
  json::object last(const std::string& path) {
    std::lock_guard lock(mutex_);
    return requests_[path];
  }
  std::set<std::string> blobs;

 private:
  Result<Reply> store(const json::object& body) {
    auto found = keys.find(string_or(body, "key"));
    if (found == keys.end()) return Reply{{{"kv", nullptr}, {"revision", 1}}};
    return Reply{{{"kv",
                   {{"key", found->first},
                    {"value", found->second},
                    {"create_revision", 1},
                    {"mod_revision", 1},
                    {"version", 1}}},
                  {"revision", 1}}};
  }

  Result<Reply> attach() {
    auto stream = make_stream();
    if (!stream) return stream.error();
    jobs_.emplace_back([this, socket = stream->first.release(), mounts = mounts_, status = build_status] {
      run_job(UniqueFd(socket), mounts, status);
    });
    return Reply{json::object{}, std::move(stream->second)};
  }

  static bool read_exactly(int fd, char* data, std::size_t size) {
    while (size > 0) {
      pollfd waiting{fd, POLLIN, 0};
      ::poll(&waiting, 1, 10'000);
      ssize_t got = ::read(fd, data, size);
      if (got <= 0) return false;
      data += got;
      size -= static_cast<std::size_t>(got);
    }
    return true;
  }

  static void run_job(UniqueFd socket, const std::map<std::string, std::string>& mounts, int status) {
    std::string archive = mounts.at("/output") + "/source.tar";
    std::ofstream out(archive, std::ios::binary);
    unsigned char head[6];
    while (read_exactly(socket.get(), reinterpret_cast<char*>(head), sizeof head)) {
      std::size_t size = static_cast<std::size_t>(head[2]) << 24 | static_cast<std::size_t>(head[3]) << 16 |
                         static_cast<std::size_t>(head[4]) << 8 | head[5];
      if (size == 0) break;
      std::string data(size, '\0');
      if (!read_exactly(socket.get(), data.data(), size)) return;
      out << data;
    }
    out.close();
    auto tar = process::Child::start({"tar", "-xf", archive, "-C", mounts.at("/tmp/build")}, {});
    if (tar) (void)tar->wait(Deadline::after(10s));
    std::ofstream(mounts.at("/output") + "/result.json") << R"({"process_types":["web"],"source_time":1700000000})";
    std::string text = "-----> Fake app detected\n";
    std::string frame{3, 1, 0, 0, 0, static_cast<char>(text.size())};
    frame += text;
    frame += {5, 0, 0, 0, static_cast<char>(status)};
    (void)write_all(socket.get(), frame, Deadline::after(5s));
  }

  static Reply answer(std::int64_t status, json::value body) {
    return Reply{{{"status", status}, {"body", std::move(body)}}};
  }

  Result<Reply> controller(const std::string& method, const std::string& path, const json::object& request) {
    requests_[path] = request;
    std::string app = "/apps/" + app_id;
    if (path == app) return answer(200, {{"id", app_id}, {"name", "hello"}});
    if (path == app + "/release") return answer(404, nullptr);
    if (path == "/artifacts") return answer(200, {{"id", "artifact" + std::to_string(++made_)}});
    if (path == "/releases") return answer(200, {{"id", "release1"}});
    if (path == app + "/deploy")
      return answer(200, {{"id", "deployment1"}, {"status", "complete"}, {"finished_at", "now"}});
    if (path == app + "/jobs") {
      return answer(200, json::array{{{"uuid", "abcdef0123"},
                                      {"release", "release1"},
                                      {"type", "web"},
                                      {"state", web_fails ? "down" : "up"},
                                      {"exit_status", 7}}});
    }
    if (path == app + "/routes")
      return answer(200, json::array{{{"type", "http"}, {"domain", "hello.example.org"}, {"path", "/"}}});
    if (method == "PUT" || method == "DELETE") return answer(200, json::object{});
    return answer(404, nullptr);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> mounts_;
  std::map<std::string, json::object> requests_;
  std::vector<std::thread> jobs_;
  int made_ = 0;
};

}  // namespace flynn::builder
