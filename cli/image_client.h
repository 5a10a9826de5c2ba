/// Where images go: the HTTP API at images.DOMAIN.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "http.h"
#include "layer_stream.h"
#include "rcfile.h"

namespace flynn::cli {

/// The cluster's ImageURL, or beside its controller when the entry has none.
Endpoint images_of(const Cluster& cluster);

/// Thread: one at a time. Every call has a connection of its own.
class ImageClient {
 public:
  explicit ImageClient(Endpoint endpoint) : endpoint_(endpoint), client_(std::move(endpoint)) {}

  /// The layer made of the tar with that SHA-256; nothing when the cluster has none.
  Result<std::optional<boost::json::value>> layer(const std::string& sha256);
  /// Sends the tar and waits until the layer is made of it. `progress` hears how many bytes have gone.
  Result<boost::json::value> add_layer(const std::string& sha256, LayerStream& tar,
                                       const std::function<void(std::int64_t)>& progress);
  /// The artifact of that manifest.
  Result<boost::json::value> add_artifact(const boost::json::value& manifest);

 private:
  Endpoint endpoint_;
  ControllerClient client_;
};

}  // namespace flynn::cli
