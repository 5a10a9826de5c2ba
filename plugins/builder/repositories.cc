#include "repositories.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "flynn/sdk/uuid.h"
#include "process/child.h"

namespace flynn::builder {
namespace {

namespace fs = std::filesystem;
constexpr auto kInitTime = std::chrono::seconds(20);

Result<void> give(const std::string& path, unsigned owner) {
  return ::lchown(path.c_str(), owner, owner) == 0 ? Result<void>() : errno_error(errno, "give away " + path);
}

Result<void> make(const BuildConfig& config, const std::string& path) {
  auto words = process::make_pipe();
  if (!words) return words.error();
  auto git =
      process::Child::start({"git", "init", "--quiet", "--bare", "--template=", path}, {{words->second.get(), 2}});
  words->second.reset();
  if (!git) return git.error();
  std::string said = process::read_to_end(words->first.get(), 2000);
  auto status = git->wait(Deadline::after(kInitTime));
  if (!status) return status.error();
  if (*status != 0) return Error{Code::internal, "git init failed: " + said};
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(path, failed)) {
    if (auto given = give(entry.path(), config.git_uid); !given) return given;
  }
  if (failed) return errno_error(failed.value(), "read the new repository");
  return give(path, config.git_uid);
}

}  // namespace

Result<std::string> prepare_repository(const BuildConfig& config, const std::string& app_id) {
  std::string path = config.repository(app_id);
  if (::access((path + "/HEAD").c_str(), F_OK) != 0) {
    std::string fresh = path + "." + random_hex(4);
    std::error_code ignored;
    if (auto made = make(config, fresh); !made) {
      fs::remove_all(fresh, ignored);
      return made.error().context("make the app's repository");
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) {
      int reason = errno;
      fs::remove_all(fresh, ignored);
      if (::access((path + "/HEAD").c_str(), F_OK) != 0) return errno_error(reason, "make the app's repository");
    }
  }
  // The hook is root's: git must not be able to change what it runs.
  std::string hooks = path + "/hooks", hook = hooks + "/pre-receive", fresh = hooks + "/.pre-receive." + random_hex(4);
  if (::mkdir(hooks.c_str(), 0755) != 0 && errno != EEXIST) return errno_error(errno, "make " + hooks);
  if (auto given = give(hooks, ::geteuid()); !given) return given.error();
  if (::symlink(config.session_program.c_str(), fresh.c_str()) != 0 || ::rename(fresh.c_str(), hook.c_str()) != 0) {
    return errno_error(errno, "set the hook " + hook);
  }
  return path;
}

}  // namespace flynn::builder
