// A door behind which the real store answers, for tests.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "flynn/sdk/host.h"
#include "flynn/sdk/store.h"
#include "store.h"

namespace flynn::store {

class QuietLog : public Log {
 public:
  void write(LogLevel, std::string_view, const json::object&) override {}
};

/// flynn.store/1 in a temporary folder; anything else is unavailable. Thread: [any].
class StoreDoor : public Door {
 public:
  using Door::call;
  StoreDoor() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-store-door-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::create_directory(folder_ / "data");
    StoreOptions options;
    options.journal.folder = folder_ / "data";
    options.journal.key_file = folder_ / "key";
    auto opened = Store::open(options, log_);
    if (!opened) ADD_FAILURE() << opened.error().message;
    store_ = std::move(*opened);
    store_->activate();
  }
  ~StoreDoor() override {
    store_->stop();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>&) override {
    if (interface != "flynn.store/1") return Error{Code::unavailable, "no such provider here"};
    return store_->call(method, body, deadline);
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  QuietLog log_;
  std::filesystem::path folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace flynn::store
