#include "slot_order.h"

namespace flynn::core {
namespace {

// Another change of the slot, of the operator's or the end of the last one's drain, is waited for.
constexpr std::chrono::seconds kLockWait{60};

using Step = std::function<Result<void>()>;

SwapOptions options_of(const std::string& who) {
  SwapOptions options;
  options.who = who;
  options.lock_wait = kLockWait;
  return options;
}

// The phase that begins when probation has passed.
SwapProgress at_drain(const std::function<void()>& in_force) {
  return [in_force](const std::string& phase, double) {
    if (phase == "drain" && in_force) in_force();
  };
}

// The first step is taken back when the second fails.
Result<json::object> both(const Step& first, const Step& second, const Step& undo) {
  if (auto done = first(); !done) return done.error();
  auto done = second();
  if (done) return json::object{{"applied", "swap"}};
  if (auto undone = undo(); !undone)
    return done.error().context("(and the first half could not be taken back: " + undone.error().message + ")");
  return done.error();
}

// One order under way.
class Doer {
 public:
  Doer(Node& node, const SlotOrder& order, const std::string& who)
      : node_(node), order_(order), options_(options_of(who)) {}

  Result<void> swap_to(const std::filesystem::path& file, const std::function<void()>& in_force) {
    auto swapped = node_.swap(order_.slot, file, options_, at_drain(in_force));
    if (!swapped) return swapped.error();
    return {};
  }
  Result<bool> configure(const std::function<void()>& in_force) {
    auto whole = node_.completed_config(order_.slot, *order_.config);
    if (!whole) return whole.error();
    return node_.configure(order_.slot, *whole, options_, at_drain(in_force));
  }
  Result<json::object> version_and_config(const std::function<void()>& in_force);

 private:
  Node& node_;
  const SlotOrder& order_;
  const SwapOptions options_;
};

Result<json::object> Doer::version_and_config(const std::function<void()>& in_force) {
  const auto& slot = order_.slot;
  auto before = node_.effective_config(slot);
  if (!before) return before.error();
  auto facts = node_.plugin_facts(slot);
  if (!facts) return facts.error();
  auto old_file = node_.kept_version(slot, string_or(*facts, "digest"));
  if (!old_file) return old_file.error();
  auto whole = node_.completed_config(slot, *order_.config);
  if (!whole) return whole.error();
  const auto set = [&](const std::function<void()>& then) -> Result<void> {
    auto done = configure(then);
    if (!done) return done.error();
    return {};
  };
  const Step set_back = [&]() -> Result<void> {
    auto done = node_.configure(slot, *before, options_);
    if (!done) return done.error();
    return {};
  };
  // A configuration that the version in force does not know yet comes after the new version.
  if (node_.judge_config(slot, *whole))
    return both([&] { return set({}); }, [&] { return swap_to(*order_.file, in_force); }, set_back);
  return both([&] { return swap_to(*order_.file, {}); }, [&] { return set(in_force); },
              [&] { return swap_to(*old_file, {}); });
}

}  // namespace

Result<json::object> carry_out(Node& node, const SlotOrder& order, const std::string& who,
                               const std::function<void()>& in_force) {
  Doer doer(node, order, who);
  if (order.file && order.config) return doer.version_and_config(in_force);
  if (order.file) {
    if (auto swapped = doer.swap_to(*order.file, in_force); !swapped) return swapped.error();
    return json::object{{"applied", "swap"}};
  }
  if (!order.config) return json::object{{"applied", "nothing"}};
  auto live = doer.configure(in_force);
  if (!live) return live.error();
  return json::object{{"applied", *live ? "live" : "swap"}};
}

Result<json::object> roll_back(Node& node, const std::string& slot, const std::string& who,
                               const std::function<void()>& in_force) {
  auto back = node.roll_back(slot, at_drain(in_force), options_of(who));
  if (!back) return back.error();
  return json::object{{"applied", "swap"}};
}

}  // namespace flynn::core
