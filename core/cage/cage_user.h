// CageUser: the user that a slot's cage runs as, and the folders that belong to it.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "flynn/sdk/result.h"

namespace flynn::core {

/// Users of cages: these ids are nobody's by Debian's policy (uids from 65536 on) and no range of subordinate ids.
inline constexpr uid_t kCageUserFirst = 1'880'000'000, kCageUsersMax = 200'000'000;

/// The owner of `data_dir` is the record: the slot has the same user at every start. One that is not a cage's yet gets
/// one that is free among its neighbours; nodes begin at different ones. Gives both folders and all in them to that
/// user; no link is followed. 0 when this process is not root: then a cage runs as the host does. Thread: one at a
/// time.
Result<uid_t> settle_cage_user(const std::filesystem::path& data_dir, const std::filesystem::path& run_dir);
/// SLOT.key beside the slot's data folder: what a plugin with the capability "key" keeps apart from its data.
std::string key_file_of(const std::string& data_dir);
/// Gives that file to the cage's user, and makes it first, empty, when it is not there: the folder is not the cage's.
Result<void> settle_cage_key(const std::filesystem::path& key, uid_t user);
/// The reverse, for a slot that runs in the host's process again. A key that is still empty goes.
Result<void> leave_cage_user(const std::filesystem::path& data_dir, const std::filesystem::path& run_dir);

}  // namespace flynn::core
