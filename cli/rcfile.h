/// ~/.flynnrc (env FLYNNRC overrides): the clusters that this user knows, in Flynn's TOML format.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace flynn::cli {

struct Cluster {
  std::string name;
  std::string key;  // a secret: never printed
  std::string tls_pin;
  std::string controller_url;
  std::string git_url;
  std::string image_url;
  std::string docker_push_url;
  std::string oauth_url;
};

struct RcFile {
  std::string default_name;  // may be empty: then the first cluster is the default
  std::vector<Cluster> clusters;

  [[nodiscard]] const Cluster* find(std::string_view name) const;
  [[nodiscard]] const Cluster* default_cluster() const;
  /// False when there is no such cluster. A removed default passes to the first one that is left.
  bool remove(std::string_view name);
};

std::string rc_path();
Result<RcFile> parse_rc(std::string_view text);
std::string format_rc(const RcFile& rc);
/// A missing file is an empty one.
Result<RcFile> load_rc(const std::string& path);
/// Replaces the file at once, readable by its owner alone: it holds keys.
Status save_rc(const std::string& path, const RcFile& rc);
/// As above for any file of ours; makes the folder when it is missing.
Status write_private_file(const std::string& path, std::string_view content);
std::string home_path(std::string_view below);

/// Adds `cluster`, or replaces the one it conflicts with when `force`. Refuses as Flynn's client does.
Status add_cluster(RcFile& rc, const Cluster& cluster, bool force);

}  // namespace flynn::cli
