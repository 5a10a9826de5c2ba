/// Reading the archive of a cluster: nothing of it counts before all of it has proved to be whole.
#pragma once

#include <functional>

#include "archive_format.h"
#include "flynn/sdk/result.h"

namespace flynn::backup {

/// Reads up to `size` bytes; 0 at the end.
using Source = std::function<Result<std::size_t>(char* into, std::size_t size)>;
/// Of a descriptor, from its position on.
Source source_of(int fd);

/// What is done with members while they are read; both may be empty. What was taken must be thrown away when
/// read_archive fails.
struct Taker {
  /// A member begins; false: its bytes are only checked.
  std::function<Result<bool>(const std::string& name)> begin;
  std::function<Result<void>(std::string_view bytes)> bytes;
};

/// Reads the source to its end. Members must be regular files without holes, with names that stay below a folder, each
/// once; the manifest must be the last and name exactly them, each once, with their sizes and digests. So nobody is
/// given more bytes than the source has.
/// invalid_argument: the archive is cut off, altered or none; unimplemented: of a newer format.
Result<Manifest> read_archive(const Source& source, const Taker& taker = {});
/// Of a file, from its beginning.
Result<Manifest> read_archive_file(const std::string& path, const Taker& taker = {});

}  // namespace flynn::backup
