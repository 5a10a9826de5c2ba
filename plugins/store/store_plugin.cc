// The plugin "store": flynn.store/1 on SQLite.
#include <filesystem>

#include "flynn/sdk/plugin.h"
#include "store.h"
#include "value_cipher.h"

namespace {

using flynn::Result;

// SLOT.key, which is the store's in a cage too (capability "key"). In a slot of another name it was once store.key.
std::string key_file_beside(const std::string& data_dir) {
  std::error_code ignored;
  const auto once = std::filesystem::path(data_dir).parent_path() / "store.key";
  if (std::filesystem::file_size(once, ignored) == flynn::store::kCipherKeyBytes) return once.string();
  return data_dir + ".key";
}

class StorePlugin : public flynn::Plugin {
 public:
  using Plugin::Plugin;

  Result<void> configure(const flynn::json::object& config) override {
    if (store_) return flynn::Error{flynn::Code::restart_required, "the store takes a new configuration by a swap"};
    options_.journal.key_file = flynn::string_or(config, "key_file");
    options_.history_revisions = flynn::int_or(config, "history_revisions", flynn::store::kHistoryRevisionsDefault);
    auto info = host().info();
    if (!info) return info.error();
    options_.journal.folder = info->data_dir;
    // Beside the store's folder, not in it: a copy of the folder alone tells nobody the values.
    if (options_.journal.key_file.empty()) options_.journal.key_file = key_file_beside(info->data_dir);
    ahead_ = flynn::store::Store::read_ahead(options_);
    return {};
  }

  Result<void> start() override {
    auto store = flynn::store::Store::open(options_, host(), std::move(ahead_));
    if (!store) return store.error().context("start the store");
    store_ = std::move(*store);
    return {};
  }

  Result<void> health() override { return store_->health(); }
  Result<void> activate() override {
    store_->activate();
    return {};
  }
  Result<void> quiesce() override { return store_->quiesce(); }
  Result<void> resume() override { return store_->resume(); }
  Result<void> drain(flynn::Deadline deadline) override {
    store_->drain(deadline);
    return {};
  }
  Result<void> stop(flynn::Deadline) override {
    if (store_) store_->stop();
    store_.reset();
    return {};
  }

  Result<flynn::Reply> handle(flynn::Call& call) override {
    if (!store_) return flynn::Error{flynn::Code::unavailable, "the store has not started"};
    return store_->call(call.method, call.body, call.deadline);
  }

 private:
  flynn::store::StoreOptions options_;
  flynn::store::ReadAhead ahead_;  // from configure to start
  std::unique_ptr<flynn::store::Store> store_;
};

}  // namespace

FLYNN_PLUGIN(StorePlugin)
