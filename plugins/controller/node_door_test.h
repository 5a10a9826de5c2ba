// A door behind which the real store answers, and a node with plugins in memory, for tests.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "../store/store.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"

namespace flynn::controller {

class QuietLog : public Log {
 public:
  void write(LogLevel, std::string_view, const json::object&) override {}
};

inline json::object test_schema() {
  return *parse_json_object(R"({"type":"object","additionalProperties":false,"properties":{
    "size":{"type":"integer","minimum":1,"default":3},"label":{"type":"string","default":""},
    "ratio":{"type":"number"},"on":{"type":"boolean"},"list":{"type":"array","default":[]},
    "token":{"type":"string","writeOnly":true}}})");
}

/// flynn.node/1 as its contract says, for one schema, `size` being all that it judges. Thread: [any].
class NodeInMemory {
 public:
  struct Plugin {
    std::string version, digest;
    std::int64_t generation = 1;
    json::object config;                           // effective, with secrets
    std::map<std::string, std::string> kept = {};  // digest -> version
  };
  static std::string digest_of(const std::string& version) {
    std::string text = version;
    text.resize(64, '0');
    return text;
  }
  void add(const std::string& slot, const std::string& version) {
    const std::lock_guard lock(mutex_);
    auto& plugin = plugins_[slot];
    plugin = {version, digest_of(version), 1, {{"size", 3}, {"label", ""}, {"list", json::array{}}}, {}};
    plugin.kept[plugin.digest] = version;
  }
  /// As an operator's `flynn plugin swap`.
  void swap(const std::string& slot, const std::string& version) {
    const std::lock_guard lock(mutex_);
    swap_now(plugins_.at(slot), version);
    tell();
  }
  void hold() { set_held(true); }
  void let_go() { set_held(false); }
  /// The next change fails with these words.
  void fail_next(const std::string& why) {
    const std::lock_guard lock(mutex_);
    failure_ = why;
  }
  void forget_changes() {
    const std::lock_guard lock(mutex_);
    changes_.clear();
    tell();
  }
  Plugin plugin(const std::string& slot) {
    const std::lock_guard lock(mutex_);
    return plugins_.at(slot);
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  Result<Reply> call(std::string_view method, const json::object& body) {
    const std::lock_guard lock(mutex_);
    if (method == "Watch") return watch();
    const std::string slot = string_or(body, "slot");
    if (!slot.empty() && !plugins_.contains(slot)) return Error{Code::not_found, "there is no slot " + slot};
    if (method == "Plugins") return plugins(slot);
    if (method == "Judge") return judge(plugins_[slot], body);
    if (method == "Log")
      return Reply{
          json::object{{"lines", {{{"at", "2026-01-31T12:00:00.000Z"}, {"level", "warn"}, {"text", "oops"}}}}}};
    if (method == "Configure" || method == "Swap") return change(slot, body);
    if (method == "Change") {
      const auto found = changes_.find(string_or(body, "change"));
      if (found == changes_.end()) return Error{Code::not_found, "no such change is remembered"};
      return Reply{found->second};
    }
    return Error{Code::unimplemented, "no such method"};
  }

 private:
  Result<Reply> watch() {
    auto stream = make_stream();
    if (!stream) return stream.error();
    watchers_.push_back(std::move(stream->first));
    return Reply{json::object{}, std::move(stream->second)};
  }
  void tell() {
    for (const auto& watcher : watchers_) (void)write_all(watcher.get(), "{}\n", Deadline::after(1s));
  }
  Result<Reply> plugins(const std::string& only) {
    json::array list;
    for (const auto& [slot, plugin] : plugins_) {
      if (!only.empty() && slot != only) continue;
      auto config = plugin.config;
      config.erase("token");
      list.push_back(json::object{{"slot", slot},
                                  {"name", slot},
                                  {"version", plugin.version},
                                  {"digest", plugin.digest},
                                  {"generation", plugin.generation},
                                  {"state", "up"},
                                  {"started_at", "2026-01-31T12:00:00.000Z"},
                                  {"config_schema", test_schema()},
                                  {"config", config}});
    }
    return Reply{json::object{{"node", "node1"}, {"plugins", list}}};
  }
  static Result<json::object> effective(const Plugin& plugin, json::object config) {
    const auto* size = config.if_contains("size");
    if (size != nullptr && (!size->is_int64() || size->get_int64() < 1))
      return Error{Code::invalid_argument, "key size: Value should be at least 1"};
    if (size == nullptr) config["size"] = 3;
    if (!config.contains("label")) config["label"] = "";
    if (!config.contains("list")) config["list"] = json::array{};
    if (const auto* token = plugin.config.if_contains("token"); token != nullptr && !config.contains("token"))
      config["token"] = *token;
    return config;
  }
  static Result<std::string> version_named(const Plugin& plugin, const json::object& body) {
    if (auto path = find_string(body, "path")) return std::filesystem::path(*path).stem().string();
    const auto found = plugin.kept.find(string_or(body, "digest"));
    if (found == plugin.kept.end()) return Error{Code::not_found, "that version is no longer kept"};
    return found->second;
  }
  static Result<Reply> judge(const Plugin& plugin, const json::object& body) {
    auto version = version_named(plugin, body);
    if (!version) return version.error();
    json::object out{{"version", *version}, {"digest", digest_of(*version)}, {"config_schema", test_schema()}};
    if (const auto* config = find_object(body, "config")) {
      auto whole = effective(plugin, *config);
      if (!whole) return whole.error();
      whole->erase("token");
      out["config"] = *whole;
    }
    return Reply{out};
  }
  static void swap_now(Plugin& plugin, const std::string& version) {
    plugin.version = version;
    plugin.digest = digest_of(version);
    plugin.kept[plugin.digest] = version;
    ++plugin.generation;
  }
  Result<Reply> change(const std::string& slot, const json::object& body) {
    const std::string id = new_uuid();
    ++asked_;
    changes_[id] = json::object{{"change", id}, {"state", "queued"}};
    waiting_.push_back({id, slot, body});
    if (!held_) carry_out();
    return Reply{json::object{{"change", id}}};
  }
  void set_held(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    if (!held) carry_out();
  }
  void carry_out() {
    for (const auto& [id, slot, body] : std::exchange(waiting_, {})) {
      auto& plugin = plugins_.at(slot);
      json::object ended{{"change", id}, {"state", "done"}};
      if (!failure_.empty()) {
        ended = {{"change", id}, {"state", "failed"}, {"error", {{"code", "internal"}, {"message", failure_}}}};
        failure_.clear();
      } else {
        if (auto version = version_named(plugin, body)) swap_now(plugin, *version);
        if (const auto* config = find_object(body, "config")) plugin.config = *effective(plugin, *config);
      }
      if (changes_.contains(id)) changes_[id] = ended;
    }
    tell();
  }

  struct Waiting {
    std::string id, slot;
    json::object body;
  };
  std::mutex mutex_;
  std::map<std::string, Plugin> plugins_;
  std::map<std::string, json::object> changes_;
  std::vector<Waiting> waiting_;
  std::vector<UniqueFd> watchers_;
  std::string failure_;
  bool held_ = false;
  int asked_ = 0;
};

/// flynn.store/1 in a temporary folder and flynn.node/1; anything else is unavailable. Thread: [any].
class NodeDoor : public Door {
 public:
  using Door::call;
  NodeDoor() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-controller-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::create_directory(folder_ / "data");
    store::StoreOptions options;
    options.journal.folder = folder_ / "data";
    options.journal.key_file = folder_ / "key";
    auto opened = store::Store::open(options, log_);
    if (!opened) ADD_FAILURE() << opened.error().message;
    store_ = std::move(*opened);
    store_->activate();
  }
  ~NodeDoor() override {
    store_->stop();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>&) override {
    if (interface == "flynn.store/1") return store_->call(method, body, deadline);
    if (interface == "flynn.node/1") return node.call(method, body);
    return Error{Code::unavailable, "no such provider here"};
  }
  const std::filesystem::path& folder() const { return folder_; }

  NodeInMemory node;

 private:
  QuietLog log_;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace flynn::controller
