// com.example.visits/1 Visit {"name"} -> {"text", "visits"}: counts in the store, so that a swap or a crash loses no
// visit.
#include <flynn/sdk/plugin.h>
#include <flynn/sdk/store.h>

#include <mutex>

namespace {

constexpr int kConflictRetriesMax = 100;

class Visits : public flynn::Plugin {
 public:
  explicit Visits(flynn::Host& host) : Plugin(host) {
    on("com.example.visits/1", "Visit", [this](flynn::Call& call) { return visit(call); });
  }

  flynn::Result<void> configure(const flynn::json::object& config) override {
    const std::lock_guard lock(mutex_);
    greeting_ = flynn::string_or(config, "greeting", "hello");
    return {};
  }

 private:
  flynn::Result<flynn::Reply> visit(flynn::Call& call) {
    auto name = flynn::require_string(call.body, "name");
    if (!name) return name.error();
    auto count = count_one();
    if (!count) return count.error().context("count the visit");
    const std::lock_guard lock(mutex_);
    return flynn::Reply{{{"text", greeting_ + " " + *name}, {"visits", *count}}};
  }

  // Read, add one, write if nobody else has: the store's compare makes it safe beside another version of this plugin.
  flynn::Result<std::int64_t> count_one() {
    flynn::StoreClient store(host());
    for (int i = 0; i < kConflictRetriesMax; ++i) {
      auto found = store.get(kKey);
      if (!found) return found.error();
      const auto revision = *found ? (*found)->mod_revision : 0;
      const auto count = 1 + (*found ? flynn::int_or((*found)->value.as_object(), "visits") : 0);
      auto written =
          store.txn().if_mod(kKey, revision).put(kKey, flynn::json::object{{"v", 1}, {"visits", count}}).commit();
      if (written) return count;
      if (written.error().code != flynn::Code::conflict) return written.error();
    }
    return flynn::Error{flynn::Code::unavailable, "too many visits at once"};
  }

  static constexpr std::string_view kKey = "plugins/visits/count";
  std::mutex mutex_;
  std::string greeting_ = "hello";
};

}  // namespace

FLYNN_PLUGIN(Visits)
