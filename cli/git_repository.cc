#include "git_repository.h"

#include <fcntl.h>
#include <git2.h>
#include <unistd.h>

#include <cstdlib>

#include "names.h"
#include "rcfile.h"

namespace flynn::cli {
namespace {

Error git_failure(const std::string& doing) {
  const git_error* error = git_error_last();
  return failure(doing + ": " + (error != nullptr && error->message != nullptr ? error->message : "unknown error"));
}

/// libgit2 is started once and lives as long as the process.
void start_libgit2() {
  static const int started = git_libgit2_init();
  (void)started;
}

template <class T, void (*kFree)(T*)>
struct Freed {
  T* get = nullptr;
  Freed() = default;
  Freed(const Freed&) = delete;
  Freed& operator=(const Freed&) = delete;
  ~Freed() { kFree(get); }
};
using RemoteHandle = Freed<git_remote, git_remote_free>;
using ConfigHandle = Freed<git_config, git_config_free>;

std::string push_url(const git_remote* remote) {
  const char* url = git_remote_pushurl(remote);
  if (url == nullptr) url = git_remote_url(remote);
  return url != nullptr ? url : "";
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

void GitRepository::Free::operator()(git_repository* repository) const { git_repository_free(repository); }

Result<GitRepository> GitRepository::discover(const std::string& folder) {
  start_libgit2();
  git_repository* repository = nullptr;
  const int code = git_repository_open_ext(&repository, folder.c_str(), 0, nullptr);
  if (code == GIT_ENOTFOUND)
    return Error{"not in a git repository", "", Failure::kNotFound}.as(ErrorCode::kNoGitRepository);
  if (code != 0) return git_failure("open the git repository");
  return GitRepository(repository);
}

Result<std::vector<GitRemote>> GitRepository::remotes() const {
  git_strarray names{};
  if (git_remote_list(&names, repository_.get()) != 0) return git_failure("list git remotes");
  std::vector<GitRemote> remotes;
  for (std::size_t i = 0; i < names.count; ++i) {
    RemoteHandle remote;
    if (git_remote_lookup(&remote.get, repository_.get(), names.strings[i]) == 0) {
      remotes.push_back({names.strings[i], push_url(remote.get)});
    }
  }
  git_strarray_dispose(&names);
  return remotes;
}

std::string GitRepository::config_value(const std::string& key) const {
  ConfigHandle config;
  if (git_repository_config(&config.get, repository_.get()) != 0) return "";
  git_buf value = GIT_BUF_INIT;
  std::string text;
  if (git_config_get_string_buf(&value, config.get, key.c_str()) == 0) text.assign(value.ptr, value.size);
  git_buf_dispose(&value);
  return text;
}

Status GitRepository::set_remote(const std::string& name, const std::string& url) {
  const int removed = git_remote_delete(repository_.get(), name.c_str());
  if (removed != 0 && removed != GIT_ENOTFOUND) return git_failure("replace git remote \"" + name + "\"");
  RemoteHandle remote;
  if (git_remote_create(&remote.get, repository_.get(), name.c_str(), url.c_str()) != 0) {
    return git_failure("add git remote \"" + name + "\"");
  }
  return Done{};
}

Status GitRepository::remove_remote(const std::string& name) {
  if (git_remote_delete(repository_.get(), name.c_str()) != 0) return git_failure("remove git remote \"" + name + "\"");
  return Done{};
}

Status set_global_git_config(const std::string& key, const std::string& value) {
  start_libgit2();
  // As git itself chooses the file.
  const char* chosen = std::getenv("GIT_CONFIG_GLOBAL");
  const std::string path = chosen != nullptr && *chosen != '\0' ? chosen : home_path(".gitconfig");
  ConfigHandle config;
  if (git_config_open_ondisk(&config.get, path.c_str()) != 0 ||
      git_config_set_string(config.get, key.c_str(), value.c_str()) != 0) {
    return git_failure("set " + key + " in " + path);
  }
  return Done{};
}

std::string remote_url(const std::string& git_url, const std::string& app) {
  return without_slash(git_url) + "/" + app + ".git";
}

std::string app_of_remote(const std::string& git_url, const std::string& url) {
  const std::string base = without_slash(git_url);
  if (base.empty() || !url.starts_with(base + "/")) return "";
  std::string app = url.substr(base.size() + 1);
  if (app.ends_with(".git")) app.erase(app.size() - 4);
  return is_app_name(app) ? app : "";
}

}  // namespace flynn::cli
