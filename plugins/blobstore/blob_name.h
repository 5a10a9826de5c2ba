// Names of blobs, and the paths they are kept under.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::blobstore {

inline constexpr std::size_t kNameBytesMax = 512;

/// 1–512 bytes, '/'-separated segments of [A-Za-z0-9._-], none empty, "." or "..". invalid_argument otherwise.
Result<void> check_name(std::string_view name);
/// A prefix may end anywhere inside a name, so only its characters and length are judged.
Result<void> check_prefix(std::string_view prefix);

/// The relative path of a name. Folders end in '@' and pieces of a long segment in '+', which no name can contain: so
/// "a" and "a/b" can both exist, and a segment may be longer than a file name.
std::string path_of_name(std::string_view name);

/// What a folder entry adds to the name while walking: "a@" gives "a/", "abc+" gives "abc". False for a stranger's
/// file.
enum class EntryKind { blob, folder, stranger };
EntryKind name_of_entry(std::string_view entry, std::string& part);

}  // namespace flynn::blobstore
