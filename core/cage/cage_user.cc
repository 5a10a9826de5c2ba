#include "cage_user.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <set>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {
namespace {

constexpr uid_t kNeighboursMax = 1'000;

bool is_cage_user(uid_t user) { return user >= kCageUserFirst && user < kCageUserFirst + kCageUsersMax; }

Result<uid_t> owner_of(const std::filesystem::path& path) {
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return errno_error(errno, "look at " + path.string());
  return facts.st_uid;
}

Result<void> give(const std::filesystem::path& path, uid_t user) {
  auto owner = owner_of(path);
  if (!owner) return owner.error();
  if (*owner == user) return {};
  if (::lchown(path.c_str(), user, user) != 0) return errno_error(errno, "give " + path.string() + " to its cage");
  return {};
}

Result<void> give_all(const std::filesystem::path& folder, uid_t user) {
  std::error_code failure;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, failure);
       !failure && entry != std::filesystem::recursive_directory_iterator(); entry.increment(failure))
    if (auto given = give(entry->path(), user); !given) return given;
  if (failure) return errno_error(failure.value(), "look through " + folder.string());
  // Last: the folder's owner says that all is done.
  return give(folder, user);
}

uid_t first_free(const std::filesystem::path& neighbours) {
  std::set<uid_t> taken;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(neighbours, failure))
    if (const auto owner = owner_of(entry.path())) taken.insert(*owner);
  // Nodes that share a machine begin far from each other: what a cage leaves behind is ended by its user.
  const auto begin = std::hash<std::string>{}(std::filesystem::absolute(neighbours).lexically_normal().string());
  for (uid_t step = 0; step < kNeighboursMax; ++step) {
    const uid_t user = kCageUserFirst + static_cast<uid_t>((begin + step) % kCageUsersMax);
    if (!taken.contains(user)) return user;
  }
  return 0;
}

}  // namespace

Result<uid_t> settle_cage_user(const std::filesystem::path& data_dir, const std::filesystem::path& run_dir) {
  if (::geteuid() != 0) return uid_t{0};
  auto owner = owner_of(data_dir);
  if (!owner) return owner;
  const uid_t user = is_cage_user(*owner) ? *owner : first_free(data_dir.parent_path());
  if (user == 0) return Error{Code::resource_exhausted, "all users of cages are taken"};
  if (*owner != user)
    if (auto given = give_all(data_dir, user); !given) return given.error();
  if (auto given = give_all(run_dir, user); !given) return given.error();
  return user;
}

std::string key_file_of(const std::string& data_dir) {
  return data_dir.substr(0, data_dir.find_last_not_of('/') + 1) + ".key";
}

Result<void> settle_cage_key(const std::filesystem::path& key, uid_t user) {
  const UniqueFd made(::open(key.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made && errno != EEXIST) return errno_error(errno, "make " + key.string());
  if (made) {  // a key that is written is lost if its name is
    const UniqueFd folder(::open(key.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "sync the folder of " + key.string());
  }
  return user == 0 ? Result<void>() : give(key, user);
}

Result<void> leave_cage_user(const std::filesystem::path& data_dir, const std::filesystem::path& run_dir) {
  if (::geteuid() != 0) return {};
  for (const auto& folder : {data_dir, run_dir}) {
    auto owner = owner_of(folder);
    if (!owner) return owner.error();
    if (!is_cage_user(*owner)) continue;
    if (auto given = give_all(folder, 0); !given) return given;
  }
  const auto key = key_file_of(data_dir.string());
  const auto owner = owner_of(key);
  if (!owner || !is_cage_user(*owner)) return {};
  std::error_code ignored;
  if (std::filesystem::file_size(key, ignored) == 0) return std::filesystem::remove(key, ignored), Result<void>();
  return give(key, 0);
}

}  // namespace flynn::core
