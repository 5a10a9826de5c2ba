// The plugin: flynn.logs/1.
#include <atomic>

#include "collector.h"
#include "flynn/sdk/plugin.h"
#include "forwarder.h"
#include "log_pump.h"
#include "log_store.h"

namespace flynn::logs {
namespace {

constexpr const char* kInterface = "flynn.logs/1";
constexpr std::size_t kAppendMax = 1000;

class LogsPlugin : public Plugin {
 public:
  explicit LogsPlugin(Host& plugin_host) : Plugin(plugin_host) {
    on(kInterface, "Append", [this](Call& call) { return append(call); });
    on(kInterface, "Read", [this](Call& call) { return read(call); });
    on(kInterface, "Delete", [this](Call& call) { return erase(call); });
    on(kInterface, "Status", [this](Call&) { return status(); });
  }

  Result<void> configure(const json::object& config) override {
    if (store_) return Error{Code::restart_required, "sizes of logs take effect at a start"};
    limits_.total_bytes = static_cast<std::uint64_t>(int_or(config, "app_bytes_max", 16 << 20));
    limits_.segment_bytes = std::max<std::uint64_t>(limits_.total_bytes / 16, 4096);
    auto info = host().info();
    if (!info) return info.error();
    prepare(info->data_dir);
    return {};
  }

  // The files are ours alone from here, so calls are answered; what comes by itself waits for activate().
  Result<void> start() override {
    if (auto loaded = store_->load(); !loaded) return loaded.error().context("open the logs");
    open_ = true;
    return {};
  }

  Result<void> activate() override {
    pump_.activate();
    forwarder_->activate();
    collector_->activate();
    return {};
  }

  Result<void> quiesce() override {
    // All are asked before the first is waited for: a swap's pause lasts as long.
    collector_->close();
    forwarder_->close();
    collector_->quiesce();
    forwarder_->quiesce();
    pump_.quiesce();
    return {};
  }

  // The new version may have written before it failed.
  Result<void> resume() override {
    if (auto loaded = start(); !loaded) return loaded;
    collector_->forget_progress();
    return activate();
  }

  Result<void> stop(Deadline) override {
    open_ = false;
    collector_.reset();
    forwarder_.reset();
    pump_.stop();
    return {};
  }

 private:
  // In a swap the other instance works on while we make threads and learn what the store says.
  void prepare(const std::string& data_dir) {
    store_ = std::make_unique<LogStore>(data_dir + "/apps", limits_);
    pump_.prepare();
    forwarder_ = std::make_unique<Forwarder>(host(), host(), *store_, data_dir + "/sinks");
    forwarder_->prepare();
    collector_ = std::make_unique<Collector>(host(), host(), *store_, [this] { tell_readers(); });
    collector_->prepare();
  }

  void tell_readers() {
    pump_.wake();
    forwarder_->wake();
  }

  Result<void> ready() const {
    if (open_) return {};
    return Error{Code::unavailable, "the logs are not open yet; try again"};
  }

  static Result<std::string> app_id_of(const Call& call) {
    auto app_id = require_string(call.body, "app_id");
    if (app_id && !is_app_id(*app_id))
      return Error{Code::invalid_argument, "member \"app_id\" must be 1 to 64 letters, digits and dashes"};
    return app_id;
  }

  Result<Reply> append(Call& call) {
    if (auto open = ready(); !open) return open.error();
    auto app_id = app_id_of(call);
    if (!app_id) return app_id.error();
    const auto* messages = find_array(call.body, "messages");
    if (messages == nullptr || messages->size() > kAppendMax)
      return Error{Code::invalid_argument, "member \"messages\" must be a list of at most 1,000"};
    std::string lines;
    for (const auto& item : *messages) {
      const auto* document = item.if_object();
      if (document == nullptr) return Error{Code::invalid_argument, "a message must be an object"};
      auto message = message_of(*document, *app_id);
      if (!message) return message.error();
      lines += line_of(*message);
    }
    auto log = store_->log_of(*app_id);
    if (!log) return log.error();
    if (auto stored = (*log)->append(lines); !stored) return stored.error();
    tell_readers();
    return Reply{};
  }

  Result<Reply> read(Call& call) {
    if (auto open = ready(); !open) return open.error();
    auto app_id = app_id_of(call);
    if (!app_id) return app_id.error();
    ReadRequest request;
    request.app_id = *app_id;
    request.follow = bool_or(call.body, "follow");
    request.lines = int_or(call.body, "lines", -1);
    request.filter.job_id = find_string(call.body, "job_id");
    request.filter.process_type = find_string(call.body, "process_type");
    request.filter.source = find_string(call.body, "source");
    for (auto& stream : strings_or_empty(call.body, "stream_types")) request.filter.streams.insert(std::move(stream));
    // A follower may come before the first message; who only looks makes no log.
    std::shared_ptr<AppLog> log = store_->find(*app_id);
    if (!log && request.follow) {
      auto made = store_->log_of(*app_id);
      if (!made) return made.error();
      log = *made;
    }
    auto stream = pump_.open(std::move(request), std::move(log));
    if (!stream) return stream.error();
    return Reply{{}, std::move(*stream)};
  }

  Result<Reply> erase(Call& call) {
    if (auto open = ready(); !open) return open.error();
    auto app_id = app_id_of(call);
    if (!app_id) return app_id.error();
    store_->erase(*app_id);
    tell_readers();
    return Reply{};
  }

  Result<Reply> status() {
    if (auto open = ready(); !open) return open.error();
    return Reply{{{"apps", store_->apps().size()},
                  {"bytes", store_->bytes()},
                  {"followers", pump_.followers()},
                  {"sinks", forwarder_->status()}}};
  }

  AppLogLimits limits_;
  std::atomic<bool> open_{false};
  std::unique_ptr<LogStore> store_;
  LogPump pump_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace
}  // namespace flynn::logs

FLYNN_PLUGIN(flynn::logs::LogsPlugin)
