// The plugin: flynn.logs/1.
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
    return {};
  }

  Result<void> start() override {
    auto info = host().info();
    if (!info) return info.error();
    data_dir_ = info->data_dir;
    return {};
  }

  Result<void> activate() override {
    auto opened = LogStore::open(data_dir_ + "/apps", limits_);
    if (!opened) return opened.error().context("open the logs");
    store_ = std::move(*opened);
    pump_.start();
    forwarder_ = std::make_unique<Forwarder>(host(), host(), *store_, data_dir_ + "/sinks");
    forwarder_->start();
    collector_ = std::make_unique<Collector>(host(), host(), *store_, [this] { tell_readers(); });
    collector_->start();
    return {};
  }

  Result<void> quiesce() override {
    // All are asked before the first is waited for: a swap's pause lasts as long.
    if (collector_) collector_->ask_stop();
    if (forwarder_) forwarder_->ask_stop();
    pump_.ask_stop();
    collector_.reset();
    forwarder_.reset();
    pump_.stop();
    return {};
  }

  Result<void> stop(Deadline) override { return quiesce(); }

 private:
  void tell_readers() {
    pump_.wake();
    forwarder_->wake();
  }

  Result<void> ready() const {
    if (forwarder_) return {};
    return Error{Code::unavailable, "the logs are not open yet; try again"};
  }

  Result<Reply> append(Call& call) {
    if (auto open = ready(); !open) return open.error();
    auto app_id = require_string(call.body, "app_id");
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
    auto app_id = require_string(call.body, "app_id");
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
    auto app_id = require_string(call.body, "app_id");
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
  std::string data_dir_;
  std::unique_ptr<LogStore> store_;
  LogPump pump_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace
}  // namespace flynn::logs

FLYNN_PLUGIN(flynn::logs::LogsPlugin)
