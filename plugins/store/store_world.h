// The world of the store's tests: a folder of its own, a store in it, and calls in few words.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "flynn/sdk/stream.h"
#include "store.h"

namespace flynn::store {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "flynn-store-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class CollectingLog : public Log {
 public:
  void write(LogLevel, std::string_view event, const json::object&) override {
    const std::lock_guard lock(mutex_);
    events_.emplace_back(event);
  }
  bool contains(std::string_view event) const {
    const std::lock_guard lock(mutex_);
    return std::find(events_.begin(), events_.end(), event) != events_.end();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

/// A store that can be closed and opened again.
class StoreWorld {
 public:
  StoreWorld() { options.journal = {folder.path() + "/store", folder.path() + "/store.key", {}}; }

  void open() {
    auto opened = Store::open(options, log);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
    store->activate();
  }
  void close() { store.reset(); }
  void reopen() {
    close();
    open();
  }
  Result<Reply> call(std::string_view method, const json::object& body) {
    return store->call(method, body, Deadline::after(std::chrono::seconds(20)));
  }

  TemporaryFolder folder;
  StoreOptions options;
  CollectingLog log;
  std::unique_ptr<Store> store;
};

using CallFunction = std::function<Result<Reply>(std::string_view method, const json::object& body)>;

inline json::object put_op(std::string_view key, json::value value, std::string_view lease = {}) {
  json::object put{{"key", key}, {"value", std::move(value)}};
  if (!lease.empty()) put["lease"] = lease;
  return {{"put", std::move(put)}};
}
inline json::object delete_op(std::string_view key) { return {{"delete", json::object{{"key", key}}}}; }
inline json::object txn_of(json::array then_ops) { return {{"then", std::move(then_ops)}}; }

/// The next line of a watch within 10 s, as a document; empty at the end of the stream.
inline json::object next_line(LineReader& reader) {
  auto status = reader.next(Deadline::after(std::chrono::seconds(10)));
  if (!status || *status != LineReader::Status::line) return {};
  auto line = parse_json_object(reader.text());
  return line ? *line : json::object{};
}

/// The next line that is not mere progress.
inline json::object next_events(LineReader& reader) {
  auto line = next_line(reader);
  while (bool_or(line, "progress")) line = next_line(reader);
  return line;
}

}  // namespace flynn::store
