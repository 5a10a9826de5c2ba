#include "forwarder.h"

#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace flynn::logs {
namespace {

constexpr std::string_view kSinkPrefix = "sinks/", kAppPrefix = "apps/";
constexpr int kAskAgainMs = 1000;

// The id in a key of the prefix; empty when it is another kind of key.
std::string id_of(const std::string& key, std::string_view prefix) {
  auto id = key.substr(prefix.size());
  return id.find('/') == std::string::npos ? id : std::string();
}

std::string name_in(const json::value& app) {
  const auto* document = app.if_object();
  return document == nullptr ? std::string() : string_or(*document, "name");
}

// nullopt: a sink of another kind.
std::optional<Result<SinkConfig>> config_in(const json::value& sink) {
  const auto* document = sink.if_object();
  if (document == nullptr || string_or(*document, "kind") != "syslog") return std::nullopt;
  const auto* config = find_object(*document, "config");
  if (config == nullptr) return Error{Code::invalid_argument, "member \"config\" is missing"};
  return sink_config_of(*config);
}

StoreMirrorHandler handler_of(std::function<void(const RangeResult&)> on_all,
                              std::function<void(const StoreEvent&)> on_each) {
  return {std::move(on_all), [on_each = std::move(on_each)](std::int64_t, const std::vector<StoreEvent>& events) {
            for (const auto& event : events) on_each(event);
          }};
}

}  // namespace

Forwarder::Forwarder(Door& door, Log& log, LogStore& store, std::string folder)
    : door_(door),
      log_(log),
      store_(store),
      folder_(std::move(folder)),
      sinks_(door, log, std::string(kSinkPrefix),
             handler_of([this](const RangeResult& all) { on_sinks(all); },
                        [this](const StoreEvent& event) { on_sink(event); })),
      apps_(door, log, std::string(kAppPrefix),
            handler_of([this](const RangeResult& all) { on_apps(all); },
                       [this](const StoreEvent& event) { on_app(event); })) {}

void Forwarder::prepare() {
  apps_.start("logs-sink-apps");
  sinks_.start("logs-sinks");
  worker_.start("logs-forward", [this](const StopSignal& stop) { run(stop); });
}

void Forwarder::activate() {
  {
    const std::lock_guard lock(mutex_);
    renew_ = compare_files_ = true;
  }
  gate_.open();
  wake_.ask();
}

void Forwarder::close() {
  gate_.close();
  for (const auto& sink : sinks()) sink->end();
}

void Forwarder::quiesce() {
  close();
  (void)gate_.wait_empty();
  const auto all = sinks();
  for (const auto& sink : all) sink->end();  // one may just have begun
  for (const auto& sink : all) sink->wait_ended();
}

void Forwarder::stop() {
  close();
  sinks_.ask_stop();
  apps_.ask_stop();
  worker_.ask_stop();
  sinks_.stop();
  apps_.stop();
  worker_.stop();
  const auto all = sinks();
  for (const auto& sink : all) sink->end();
  for (const auto& sink : all) sink->stop();
  const std::lock_guard lock(mutex_);
  wanted_.clear();
}

std::vector<std::shared_ptr<Sink>> Forwarder::sinks() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Sink>> all;
  for (const auto& [id, wanted] : wanted_)
    if (wanted.sink) all.push_back(wanted.sink);
  return all;
}

void Forwarder::wake() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, wanted] : wanted_)
    if (wanted.sink) wanted.sink->wake();
}

json::array Forwarder::status() const {
  std::map<std::string, Wanted> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted = wanted_;
  }
  json::array all;
  for (const auto& [id, entry] : wanted) {
    const auto state = entry.sink ? entry.sink->state() : SinkState{false, 0, entry.error};
    json::object sink{{"id", id}, {"connected", state.connected}, {"behind_bytes", state.behind_bytes}};
    if (!state.error.empty()) sink["error"] = state.error;
    all.push_back(std::move(sink));
  }
  return all;
}

void Forwarder::on_sinks(const RangeResult& all) {
  {
    const std::lock_guard lock(mutex_);
    configs_.clear();
    for (const auto& kv : all.kvs) note_sink({EventKind::put, kv});
    known_ = compare_files_ = true;
  }
  wake_.ask();
}

void Forwarder::on_sink(const StoreEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    note_sink(event);
  }
  wake_.ask();
}

void Forwarder::note_sink(const StoreEvent& event) {
  const auto id = id_of(event.kv.key, kSinkPrefix);
  if (!is_uuid(id)) return;  // an id becomes the name of a file
  auto config = event.kind == EventKind::put ? config_in(event.kv.value) : std::nullopt;
  configs_.erase(id);
  if (config) configs_.emplace(id, std::move(*config));
}

// Files of sinks that were deleted while nobody watched. The store is asked, for its news may be under way to us: a
// sink that loses its positions loses lines.
std::vector<std::string> Forwarder::strange_files() {
  std::set<std::string> known;
  {
    const std::lock_guard lock(mutex_);
    if (!known_ || !gate_.is_open() || !std::exchange(compare_files_, false)) return {};
    for (const auto& [id, config] : configs_) known.insert(id);
  }
  std::vector<std::string> strange;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure)) {
    const auto name = entry.path().filename().string();
    const auto id = name.substr(0, name.find('.'));
    // A ".next" of a live sink may be in use, and is replaced by its next save anyway.
    if (known.contains(id) && (name == id + ".json" || name == id + ".json.next")) continue;
    if (is_uuid(id) && !known.contains(id)) {
      const auto sink = StoreClient(door_).get(std::string(kSinkPrefix) + id);
      if (!sink) {
        const std::lock_guard lock(mutex_);
        compare_files_ = true;
      }
      if (!sink || *sink) continue;
    }
    strange.push_back(entry.path().string());
  }
  return strange;
}

void Forwarder::run(const StopSignal& stop) {
  while (!stop.asked()) {
    wake_.clear();
    const auto strange = strange_files();
    bool again = false;
    if (const auto pass = gate_.enter()) {
      follow(strange);
      const std::lock_guard lock(mutex_);
      again = known_ && compare_files_;
    }
    std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake_.fd(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), again ? kAskAgainMs : -1);
  }
}

// Makes it so as the store says.
void Forwarder::follow(const std::vector<std::string>& strange) {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST)  // each sink says that it can't save, and sends
    log_.warn("sink_folder_missing", {{"error", errno_error(errno, "make folder " + folder_).message}});
  renew();
  Configs configs;
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    if (!known_) return;
    configs = configs_;
    for (const auto& [id, entry] : wanted_)
      if (!configs.contains(id)) gone.push_back(id);
  }
  std::error_code ignored;
  for (const auto& id : gone) drop(id);
  for (const auto& path : strange) std::filesystem::remove(path, ignored);
  for (const auto& [id, config] : configs) want(id, config);
  start_waiting();
}

// Sinks that quiesce() has ended: another instance has moved their positions.
void Forwarder::renew() {
  std::vector<std::shared_ptr<Sink>> ended;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(renew_, false)) return;
    for (auto& [id, entry] : wanted_)
      if (entry.sink) ended.push_back(std::move(entry.sink));
  }
  for (const auto& sink : ended) sink->stop();
}

void Forwarder::want(const std::string& id, const Result<SinkConfig>& config) {
  std::shared_ptr<Sink> old;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = wanted_[id];
    if (config ? entry.config == *config : !entry.config && entry.error == config.error().message) return;
    old = std::move(entry.sink);
    entry = {};
    if (config) {
      entry.config = *config;
    } else {
      entry.error = config.error().message;
    }
  }
  if (old) old->stop();  // without the lock: wake() is called for each message. The new one reads its positions
  if (!config) log_.warn("sink_refused", {{"sink", id}, {"error", config.error().message}});
}

void Forwarder::drop(const std::string& id) {
  std::shared_ptr<Sink> old;
  {
    const std::lock_guard lock(mutex_);
    const auto found = wanted_.find(id);
    if (found == wanted_.end()) return;
    old = std::move(found->second.sink);
    wanted_.erase(found);
  }
  if (old) old->stop();
  std::error_code ignored;
  std::filesystem::remove(path_of(id), ignored);
  std::filesystem::remove(path_of(id) + ".next", ignored);
}

std::optional<unsigned> Forwarder::free_number() const {
  std::set<unsigned> taken;
  for (const auto& [id, entry] : wanted_)
    if (entry.sink) taken.insert(entry.number);
  for (unsigned number = 0; number < kSinksMax; ++number)
    if (!taken.contains(number)) return number;
  return std::nullopt;
}

void Forwarder::start_waiting() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : wanted_) {
    if (entry.sink || !entry.config) continue;
    const auto number = free_number();
    if (!number) {
      if (entry.error.empty()) log_.warn("sink_waits", {{"sink", id}, {"why", "16 sinks are the limit"}});
      entry.error = "16 sinks are the limit: delete one, and this one begins";
      continue;
    }
    entry.error.clear();
    entry.number = *number;
    entry.sink = std::make_shared<Sink>(id, *entry.config, path_of(id), store_, names_, log_);
    entry.sink->start("logs-sink-" + std::to_string(*number));
  }
}

void Forwarder::on_apps(const RangeResult& all) {
  std::map<std::string, std::string> names;
  for (const auto& kv : all.kvs)
    if (auto id = id_of(kv.key, kAppPrefix); !id.empty()) names[id] = name_in(kv.value);
  names_.replace(std::move(names));
  wake();
}

void Forwarder::on_app(const StoreEvent& event) {
  const auto id = id_of(event.kv.key, kAppPrefix);
  if (id.empty()) return;
  if (event.kind == EventKind::put) {
    names_.set(id, name_in(event.kv.value));
  } else {
    names_.erase(id);
  }
  wake();
}

}  // namespace flynn::logs
