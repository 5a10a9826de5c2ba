#include "forwarder.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <vector>

namespace flynn::logs {
namespace {

constexpr std::string_view kSinkPrefix = "sinks/", kAppPrefix = "apps/";

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
    : log_(log),
      store_(store),
      folder_(std::move(folder)),
      sinks_(door, log, std::string(kSinkPrefix),
             handler_of([this](const RangeResult& all) { on_sinks(all); },
                        [this](const StoreEvent& event) { on_sink(event); })),
      apps_(door, log, std::string(kAppPrefix),
            handler_of([this](const RangeResult& all) { on_apps(all); },
                       [this](const StoreEvent& event) { on_app(event); })) {}

void Forwarder::start() {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST)  // each sink says that it can't save, and sends
    log_.warn("sink_folder_missing", {{"error", errno_error(errno, "make folder " + folder_).message}});
  apps_.start("logs-sink-apps");
  sinks_.start("logs-sinks");
}

void Forwarder::ask_stop() {
  sinks_.ask_stop();
  apps_.ask_stop();
}

void Forwarder::stop() {
  ask_stop();
  sinks_.stop();
  apps_.stop();
  std::map<std::string, Wanted> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(wanted_);
  }
  for (auto& [id, wanted] : ended)
    if (wanted.sink) wanted.sink->ask_stop();
  for (auto& [id, wanted] : ended)
    if (wanted.sink) wanted.sink->stop();
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
  std::set<std::string> there;
  for (const auto& kv : all.kvs) there.insert(id_of(kv.key, kSinkPrefix));
  std::vector<std::string> gone;
  for (const auto& [id, entry] : wanted_)
    if (!there.contains(id)) gone.push_back(id);
  for (const auto& id : gone) drop(id);
  remove_strange_files(all);
  for (const auto& kv : all.kvs) on_sink({EventKind::put, kv});
}

void Forwarder::on_sink(const StoreEvent& event) {
  const auto id = id_of(event.kv.key, kSinkPrefix);
  if (!is_uuid(id)) return;  // an id becomes the name of a file
  auto config = event.kind == EventKind::put ? config_in(event.kv.value) : std::nullopt;
  if (config) {
    want(id, std::move(*config));
  } else {
    drop(id);
  }
  start_waiting();
}

// Sinks that were deleted while nobody watched.
void Forwarder::remove_strange_files(const RangeResult& all) {
  std::set<std::string> names;
  for (const auto& kv : all.kvs) names.insert(id_of(kv.key, kSinkPrefix) + ".json");
  std::vector<std::filesystem::path> strange;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure))
    if (!names.contains(entry.path().filename().string())) strange.push_back(entry.path());
  // A ".next" of a live sink may be in use, and is replaced by its next save anyway.
  std::erase_if(strange,
                [&](const auto& path) { return path.extension() == ".next" && names.contains(path.stem().string()); });
  for (const auto& path : strange) std::filesystem::remove(path, failure);
}

void Forwarder::want(const std::string& id, Result<SinkConfig> config) {
  std::shared_ptr<Sink> old;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = wanted_[id];
    if (config && entry.config == *config) return;
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
