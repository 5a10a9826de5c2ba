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

/// {"applied": "live" | "swap"}. On an error the slot is as it was, or the message says what is not.
/// Blocks for the time of a swap or two. Thread: [any].
Result<json::object> carry_out(Node& node, const SlotOrder& order);

}  // namespace flynn::core
