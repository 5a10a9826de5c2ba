// Restoring: the layers of an archive of a cluster (plugin-api/backup) as blobs.
#pragma once

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::blobstore {

struct RestoredLayers {
  std::uint64_t added = 0, present = 0, bytes = 0;  // bytes: of those added
};

/// Adds the layers that `folder` (the blobstore's data folder, made when absent) does not have; a layer is named by its
/// digest, so what is there is the same. The whole archive is verified before the first is put; when one can't be put,
/// those before it are removed again. May run while a blobstore works on the folder.
/// invalid_argument: the archive is not whole, or a layer is not what its name says. Thread: [any].
Result<RestoredLayers> restore_layers(const std::string& archive, const std::string& folder);

}  // namespace flynn::blobstore
