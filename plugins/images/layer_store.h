// LayerStore: layers in the blobstore, and which tar each was made of.
#pragma once

#include <optional>
#include <string>

#include "flynn/sdk/host.h"
#include "squash.h"

namespace flynn::images {

/// A layer is the blob `layers/<id>.squashfs`, as hosts fetch it; `images/layers/<sha256 of the tar>.json` is its
/// description, written after it. Thread: [any]. Borrows the door.
class LayerStore {
 public:
  explicit LayerStore(Door& door) : door_(door) {}

  /// The layer as a manifest names it; nullopt when it was never sent, or its blob has gone with the last release.
  Result<std::optional<json::object>> find(const std::string& sha256);
  /// Durable when it returns.
  Result<json::object> keep(const std::string& sha256, const SquashedLayer& layer);
  /// Whether hosts would find the layer.
  Result<bool> has(const std::string& id);

 private:
  Door& door_;
};

}  // namespace flynn::images
