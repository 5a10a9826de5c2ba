/// What Docker's configuration of an image means for a job and a release.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "result.h"

namespace flynn::cli {

struct ImageUser {
  std::int64_t uid = 0, gid = 0;
  std::string home = "/root";
};

/// `user`: "", "1000", "1000:100", "node", "node:staff". `passwd` and `group` are the image's own files; may be empty.
Result<ImageUser> find_user(const std::string& user, const std::string& passwd, const std::string& group);
/// Whether the image's files are needed to tell who that is.
bool needs_files(const std::string& user);

/// "A=1" each.
std::map<std::string, std::string> image_env(const boost::json::object& config);
/// Entrypoint, then command.
std::vector<std::string> image_args(const boost::json::object& config);
/// Flynn's manifest of an image with these layers (as /layer/ answers them, the first one lowest).
boost::json::object image_manifest(const boost::json::object& config, const ImageUser& user,
                                   const std::vector<boost::json::value>& layers);
/// `release` with that artifact in place of its own, the image's variables where it has none of its own, and the
/// process type `app`.
boost::json::object docker_release(boost::json::object release, const std::string& app, const std::string& artifact,
                                   const boost::json::object& config);

}  // namespace flynn::cli
