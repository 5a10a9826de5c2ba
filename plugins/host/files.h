// Small files and folders of the host's own: whole reads, atomic writes, removal that stays within one mount.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::host {

/// At most `bytes_max` bytes; `not_found` when absent.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = 4u << 20);
/// All or nothing: temporary name, fsync, rename.
Result<void> write_file(const std::string& path, std::string_view text, mode_t mode = 0600);
/// Writes into an existing file (a control file of the kernel).
Result<void> write_control(const std::string& path, std::string_view text);
/// Makes the folder and its parents; an existing one keeps its mode.
Result<void> make_folders(const std::string& path, mode_t mode = 0700);
/// Removes a tree without following symbolic links. Refuses while something is mounted at or below `path`.
Result<void> remove_tree(const std::string& path);
/// Names in a folder, sorted; empty when absent.
std::vector<std::string> list_folder(const std::string& path);
bool path_exists(const std::string& path);

}  // namespace flynn::host
