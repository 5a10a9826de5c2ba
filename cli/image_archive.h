/// An image in a file: what `docker save`, `podman save` and `skopeo copy` write (docker-archive, or an OCI layout).
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "layer_stream.h"
#include "result.h"

namespace flynn::cli {

struct ArchivedLayer {
  std::string sha256;  // of its uncompressed tar
  std::string member;  // of the archive
};

/// Borrows the descriptor, a regular file.
class ImageArchive {
 public:
  /// `name`: which of several images, with or without its tag; may be empty when there is one.
  static Result<ImageArchive> open(int fd, const std::string& name);

  [[nodiscard]] const boost::json::object& config() const { return config_; }
  /// The first one lowest; the same one may stand there twice.
  [[nodiscard]] const std::vector<ArchivedLayer>& layers() const { return layers_; }

  /// Calls `use` once for each layer of `wanted` (SHA-256), in the archive's order; its first error ends it.
  Status each_layer(const std::set<std::string>& wanted,
                    const std::function<Status(const std::string& sha256, LayerStream&)>& use) const;

  /// Files of the image by name ("etc/passwd"), as the uppermost layer that has one says.
  Result<std::map<std::string, std::string>> files(const std::vector<std::string>& names) const;

 private:
  struct Contents {
    std::map<std::string, std::string> documents, links;
    std::set<std::string> members;
  };
  explicit ImageArchive(int fd) : fd_(fd) {}
  Result<Contents> read_contents() const;
  Status choose_docker(const Contents& contents, const std::string& name);
  Status choose_oci(const Contents& contents, const std::string& name);
  Status set_layers(const Contents& contents, const std::vector<std::string>& members);

  int fd_;
  boost::json::object config_;
  std::vector<ArchivedLayer> layers_;
};

/// "./a//b" as "a/b"; ".." is taken off with what stands before it.
std::string member_name(std::string_view path);

}  // namespace flynn::cli
