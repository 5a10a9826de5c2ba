/// The archive of a cluster's state (docs/decisions/0022): a plain tar of regular files.
///
///     store.snapshot            what flynn.store/1's Snapshot gives
///     layers/<id>.squashfs      blobs of that name
///     flynn.json                last: what the cluster was, and size and SHA-256 of every member before it
///
/// The manifest is last because its digests are known only then, and so that an archive that was cut off has none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::backup {

inline constexpr std::string_view kManifestName = "flynn.json";
inline constexpr std::string_view kStoreName = "store.snapshot";
inline constexpr std::string_view kLayerPrefix = "layers/";
/// Of `format` in the manifest. A reader refuses a newer one.
inline constexpr std::int64_t kFormat = 1;
inline constexpr std::size_t kMembersMax = 100'000;
inline constexpr std::size_t kManifestBytesMax = 32U << 20U;
inline constexpr std::size_t kChunkBytes = 64U << 10U;

struct Member {
  std::string name;
  std::string sha256;  // lower-case hex
  std::uint64_t size = 0;
};

/// What flynn.json says, after every member was compared with it.
struct Manifest {
  json::object document;  // format, version, created_at, domain, revision, members, left_out, …
  std::vector<Member> members;
  std::uint64_t bytes = 0;  // of all members

  const Member* find(std::string_view name) const;
};

}  // namespace flynn::backup
