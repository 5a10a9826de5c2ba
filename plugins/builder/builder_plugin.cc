// The builder: git push over SSH and HTTP, and flynn.builder/1.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "build_calls.h"
#include "flynn/sdk/plugin.h"
#include "http/announcement.h"
#include "process/child.h"
#include "push_server.h"

namespace flynn::builder {
namespace {

constexpr auto kKeyTime = 20s;

// The host's program stands in PREFIX/bin.
std::string default_session_program() {
  std::error_code failed;
  auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  return (self.parent_path().parent_path() / "libexec/flynn/flynn-git-session").string();
}

BuildConfig read_config(const json::object& document, const std::string& data_dir) {
  BuildConfig config;
  config.data_dir = data_dir;
  config.buildpacks_dir = string_or(document, "buildpacks_dir", "/opt/flynn/share/flynn/buildpacks");
  config.session_program = string_or(document, "session_program");
  if (config.session_program.empty()) config.session_program = default_session_program();
  config.git_uid = static_cast<unsigned>(int_or(document, "git_uid", 5001));
  config.build_timeout = std::chrono::milliseconds(int_or(document, "build_timeout_ms", 900'000));
  config.silence_notice = std::chrono::milliseconds(int_or(document, "silence_notice_ms", 60'000));
  config.deploy_timeout = std::chrono::milliseconds(int_or(document, "deploy_timeout_ms", 300'000));
  config.build_memory_bytes = int_or(document, "build_memory_bytes", std::int64_t{2} << 30);
  config.push_bytes_max = int_or(document, "push_bytes_max", std::int64_t{2} << 30);
  config.sessions_max = static_cast<std::size_t>(int_or(document, "sessions_max", 64));
  return config;
}

}  // namespace

class Builder : public Plugin {
 public:
  explicit Builder(Host& host) : Plugin(host) {
    on("flynn.builder/1", "Build", [this](Call& call) { return build(call); });
    on("flynn.builder/1", "Status", [this](Call&) { return status(); });
  }

  Result<void> configure(const json::object& document) override {
    if (server_) return Error{Code::restart_required, "takes effect by a swap"};
    auto info = host().info();
    if (!info) return info.error();
    config_ = read_config(document, info->data_dir);
    // One that is there is looked at here, for in a swap nobody waits for us yet; a new one is made by start().
    if (::access(host_key_file().c_str(), F_OK) == 0) key_is_good_ = make_host_key().ok();
    return prepare();
  }

  Result<void> start() override {
    if (::access(config_.session_program.c_str(), X_OK) != 0)
      return errno_error(errno, "session_program " + config_.session_program);
    if (::access((config_.buildpacks_dir + "/build/build.sh").c_str(), X_OK) != 0)
      return errno_error(errno, "buildpacks_dir " + config_.buildpacks_dir);
    for (const char* name : {"repos", "builds", "cache"}) {
      std::string path = config_.data_dir + "/" + name;
      if (::mkdir(path.c_str(), 0711) != 0 && errno != EEXIST) return errno_error(errno, "make " + path);
    }
    return key_is_good_ ? Result<void>() : make_host_key();
  }

  Result<void> activate() override {
    server_->activate();
    http_->activate();
    if (announcement_) announcement_->activate();
    return {};
  }

  Result<void> health() override {
    if (::access(config_.session_program.c_str(), X_OK) != 0)
      return errno_error(errno, "session_program " + config_.session_program);
    return {};
  }

  Result<void> quiesce() override {
    server_->quiesce();
    http_->quiesce();
    if (announcement_) announcement_->quiesce();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    if (server_) server_->drain(deadline);
    if (http_) http_->drain(deadline);
    if (calls_) calls_->drain(deadline);
    return {};
  }

  Result<void> stop(Deadline) override {
    announcement_.reset();
    http_.reset();
    server_.reset();
    calls_.reset();
    pipeline_.reset();
    return {};
  }

 private:
  // In a swap the other instance works on while we make threads: nothing is accepted or announced before activate().
  Result<void> prepare() {
    auto ssh = host().listener("builder.ssh");
    if (!ssh) return ssh.error().context("listener builder.ssh");
    pipeline_ = std::make_unique<Pipeline>(host(), config_);
    calls_ = std::make_unique<BuildCalls>(*pipeline_);
    server_ = std::make_unique<PushServer>(Transport::ssh, host(), host(), *pipeline_, config_);
    http_ = std::make_unique<PushServer>(Transport::http, host(), host(), *pipeline_, config_);
    server_->prepare(std::move(*ssh));
    // Without the socket in the configuration there is no git over HTTP.
    if (auto http = host().listener("builder.http")) {
      const http::AnnouncedService service{"gitreceive", "builder", "builder-announce"};
      announcement_ = std::make_unique<http::Announcement>(host(), host(), service, http->get());
      http_->prepare(std::move(*http));
    }
    return {};
  }

  std::string host_key_file() const { return config_.data_dir + "/host_key"; }
  /// Leaves one that is there as it is.
  Result<void> make_host_key() {
    auto words = process::make_pipe();
    if (!words) return words.error();
    auto made = process::Child::start({config_.session_program, "keygen", host_key_file()}, {{words->second.get(), 2}});
    words->second.reset();
    if (!made) return made.error();
    std::string said = process::read_to_end(words->first.get(), 2000);
    auto status = made->wait(Deadline::after(kKeyTime));
    if (!status) return status.error().context("make the host key");
    return *status == 0 ? Result<void>() : Error{Code::internal, "make the host key: " + said};
  }

  Result<Reply> build(Call& call) {
    if (!calls_) return Error{Code::unavailable, "the builder has not started"};
    return calls_->build(call);
  }

  Result<Reply> status() {
    json::array building;
    if (pipeline_) {
      for (const RunningBuild& build : pipeline_->running()) {
        building.push_back({{"build_id", build.build_id}, {"app_id", build.app_id}, {"since", build.since}});
      }
    }
    return Reply{{{"building", std::move(building)},
                  {"ssh_sessions", server_ ? server_->sessions() : 0},
                  {"http_sessions", http_ ? http_->sessions() : 0}}};
  }

  BuildConfig config_;
  bool key_is_good_ = false;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<BuildCalls> calls_;
  std::unique_ptr<PushServer> server_, http_;
  std::unique_ptr<http::Announcement> announcement_;
};

}  // namespace flynn::builder

FLYNN_PLUGIN(flynn::builder::Builder)
