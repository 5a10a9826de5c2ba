// The configuration that was set at run time: what is recorded of it, and when the file wins again.
// docs/decisions/0015-plugins-are-apps.md
#pragma once

#include <string>
#include <string_view>

#include "active_record.h"

namespace flynn::core {

/// SHA-256, lower-case hex. Thread: [any].
std::string digest_of_text(std::string_view text);

/// What a slot boots with: the recorded configuration, unless the file's has changed since it was set; then the record
/// is dropped.
std::string config_at_boot(SlotRecord& record, const std::string& file_config);

/// Notes that `config` is in force; the file's own needs no record.
void note_config(SlotRecord& record, const std::string& config, const std::string& file_config);

}  // namespace flynn::core
