#include "slot_order.h"

namespace flynn::core {
namespace {

using Step = std::function<Result<void>()>;

Result<void> swap_to(Node& node, const std::string& slot, const std::filesystem::path& file) {
  auto swapped = node.swap(slot, file, std::chrono::milliseconds(0), {});
  if (!swapped) return swapped.error();
  return {};
}

Result<bool> configure(Node& node, const std::string& slot, const json::object& wanted) {
  auto whole = node.completed_config(slot, wanted);
  if (!whole) return whole.error();
  return node.configure(slot, *whole);
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

Result<json::object> version_and_config(Node& node, const SlotOrder& order) {
  auto before = node.effective_config(order.slot);
  if (!before) return before.error();
  auto facts = node.plugin_facts(order.slot);
  if (!facts) return facts.error();
  auto old_file = node.kept_version(order.slot, string_or(*facts, "digest"));
  if (!old_file) return old_file.error();
  auto whole = node.completed_config(order.slot, *order.config);
  if (!whole) return whole.error();
  const Step swap = [&] { return swap_to(node, order.slot, *order.file); };
  const Step set = [&]() -> Result<void> {
    auto set_now = configure(node, order.slot, *order.config);
    if (!set_now) return set_now.error();
    return {};
  };
  const Step swap_back = [&] { return swap_to(node, order.slot, *old_file); };
  const Step set_back = [&]() -> Result<void> {
    auto set_now = node.configure(order.slot, *before);
    if (!set_now) return set_now.error();
    return {};
  };
  // A configuration that the version in force does not know yet comes after the new version.
  return node.judge_config(order.slot, *whole).ok() ? both(set, swap, set_back) : both(swap, set, swap_back);
}

}  // namespace

Result<json::object> carry_out(Node& node, const SlotOrder& order) {
  if (order.file && order.config) return version_and_config(node, order);
  if (order.file) {
    if (auto swapped = swap_to(node, order.slot, *order.file); !swapped) return swapped.error();
    return json::object{{"applied", "swap"}};
  }
  if (!order.config) return json::object{{"applied", "nothing"}};
  auto live = configure(node, order.slot, *order.config);
  if (!live) return live.error();
  return json::object{{"applied", *live ? "live" : "swap"}};
}

}  // namespace flynn::core
