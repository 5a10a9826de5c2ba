/// The git repository that the user stands in, by libgit2: remotes and configuration.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "result.h"

struct git_repository;

namespace flynn::cli {

struct GitRemote {
  std::string name;
  std::string url;  // what a push goes to
};

class GitRepository {
 public:
  /// The repository that contains `folder`; Failure::kNotFound when there is none.
  static Result<GitRepository> discover(const std::string& folder);

  Result<std::vector<GitRemote>> remotes() const;
  /// Empty when unset. The repository's value, else the user's.
  std::string config_value(const std::string& key) const;
  /// Makes the remote, in place of one of that name.
  Status set_remote(const std::string& name, const std::string& url);
  Status remove_remote(const std::string& name);

 private:
  struct Free {
    void operator()(git_repository* repository) const;
  };
  explicit GitRepository(git_repository* repository) : repository_(repository) {}
  std::unique_ptr<git_repository, Free> repository_;
};

/// `git config --global key value`.
Status set_global_git_config(const std::string& key, const std::string& value);

/// <git_url>/<app>.git
std::string remote_url(const std::string& git_url, const std::string& app);
/// The app of a remote below `git_url`; empty when it is another's.
std::string app_of_remote(const std::string& git_url, const std::string& url);

}  // namespace flynn::cli
