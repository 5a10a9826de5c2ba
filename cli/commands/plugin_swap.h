/// The commands that replace a plugin, plan that, or watch it; rows of plugin_commands().
#pragma once

#include <vector>

#include "../admin_socket.h"
#include "../command.h"
#include "../session.h"

namespace flynn::cli {

const std::vector<Option>& swap_options();
Result<int> swap_plugin(Session& session, const Arguments& arguments);
Result<int> roll_back_plugin(Session& session, const Arguments& arguments);
Result<int> watch_plugins(Session& session, const Arguments& arguments);

/// The host resolves paths in its own folder, so it gets absolute ones.
Result<std::string> absolute_path(const std::string& path);
/// Live lines for a person; a log of a script gets the summary only.
Progress progress_to(Session& session);
/// An error of a change of `slot` with what to do next; `serves` says what is in force after a refusal.
Error with_record(const Error& error, const std::string& slot, const std::string& serves);
/// For who leaves while the host works (LastWords).
std::string words_when_left(const std::string& slot);
/// How long to wait for another change of the slot, as every command that changes one understands it.
inline constexpr Option kLockWait{0, "lock-wait", "seconds", "how long to wait for another change of the slot"};
Status add_lock_wait(const Arguments& arguments, boost::json::object& params);

}  // namespace flynn::cli
