// SlotOrder: a version and a configuration that a slot shall have, both or neither.
#pragma once

#include <optional>
#include <string>

#include "node.h"

namespace flynn::core {

struct SlotOrder {
  std::string slot;
  std::optional<std::filesystem::path> file;  // absent: the version stays
  std::optional<json::object> config;         // absent: the configuration stays
};

/// {"applied": "live" | "swap"}. On an error the slot is as it was, or the message says what is not. `in_force` runs
/// when nothing can go wrong any more but the end of the old instance. Blocks for the time of a swap or two. Thread:
/// [any].
Result<json::object> carry_out(Node& node, const SlotOrder& order, const std::string& who,
                               const std::function<void()>& in_force);
Result<json::object> roll_back(Node& node, const std::string& slot, const std::string& who,
                               const std::function<void()>& in_force);

}  // namespace flynn::core
