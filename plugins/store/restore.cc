#include "restore.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "backup/archive_reader.h"
#include "flynn/sdk/clock.h"
#include "flynn/sdk/stream.h"
#include "sqlite_journal.h"

namespace flynn::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockName = "store.lock";

Result<void> sync_folder(const fs::path& path) {
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "sync the folder " + path.string());
  return {};
}

Result<void> rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return errno_error(errno, "rename " + from.string() + " to " + to.string());
  return {};
}

/// Removes what it names, unless it was kept.
struct Stage {
  fs::path path;
  bool kept = false;
  ~Stage() {
    std::error_code ignored;
    if (!kept) fs::remove_all(path, ignored);
  }
};

/// A lock file alone is no state, and no folder is none. What can't be read may be one: that is an error.
Result<bool> has_state(const fs::path& folder) {
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed))
    if (entry->path().filename() != kLockName) return true;
  if (failed && failed != std::errc::no_such_file_or_directory)
    return errno_error(failed.value(), "look for a store in " + folder.string());
  return false;
}

/// Of the store's folder, while it is the old one: a caged store runs as a user of its own, and opens its key itself.
struct Owner {
  uid_t user = ::geteuid();
  gid_t group = ::getegid();
  bool is_us() const { return user == ::geteuid() && group == ::getegid(); }
};

Owner owner_of(const fs::path& folder) {
  struct stat facts {};
  return ::stat(folder.c_str(), &facts) == 0 ? Owner{facts.st_uid, facts.st_gid} : Owner{};
}

/// Held until the new store is in place: nobody starts the old one meanwhile. Empty when there is no folder.
Result<UniqueFd> lock_out(const fs::path& folder) {
  if (!fs::exists(folder)) return UniqueFd();
  UniqueFd lock(::open((folder / kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return errno_error(errno, "open the lock of " + folder.string());
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{Code::failed_precondition,
                 "the store in " + folder.string() + " is running: stop the node first (scripts/down)"};
  return lock;
}

/// Which file has the key, and whether it has to be put where the store looks for it.
struct KeyPlan {
  std::string source;
  bool install = false, replaces = false;
};

Result<KeyPlan> plan_key(const RestoreOptions& options) {
  const bool there = fs::exists(options.key_file);
  if (options.given_key.empty()) {
    if (there) return KeyPlan{options.key_file};
    return Error{Code::failed_precondition,
                 "the archive can only be read with the key of the store that it was made of, and there is none in " +
                     options.key_file + ": name the old node's store.key with --key"};
  }
  auto given = load_key(options.given_key, false);
  if (!given) return given.error();
  if (!there) return KeyPlan{options.given_key, true};
  auto present = load_key(options.key_file, false);
  if (present && *present == *given) return KeyPlan{options.given_key};
  if (options.state == RestoreOptions::State::refuse)
    return Error{Code::failed_precondition, "this node has another key in " + options.key_file +
                                                ", which its own values need: with --force it is set aside"};
  return KeyPlan{options.given_key, true, true};
}

Result<backup::Manifest> extract(const std::string& archive, const std::string& database) {
  UniqueFd file(::open(database.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error(errno, "make " + database);
  auto manifest = backup::read_archive_file(
      archive, {[](const std::string& name) -> Result<bool> { return name == backup::kStoreName; },
                [&](std::string_view bytes) { return write_all(file.get(), bytes, Deadline::none()); }});
  if (!manifest) return manifest;
  if (manifest->find(backup::kStoreName) == nullptr)
    return Error{Code::invalid_argument, archive + ": there is no " + std::string(backup::kStoreName) + " in it"};
  if (::fsync(file.get()) != 0) return errno_error(errno, "sync " + database);
  return manifest;
}

/// Opens every value, so that a wrong key or a damaged page is found before anything is changed.
Result<Restored> prove(const fs::path& folder, const std::string& key_file) {
  auto journal = SqliteJournal::open_beside({folder.string(), key_file, {}});
  if (!journal) return journal.error();
  auto state = (*journal)->load();
  if (!state) return state.error();
  Restored restored;
  restored.revision = state->revision;
  restored.keys = static_cast<std::int64_t>(state->keys.size());
  return restored;
}

/// Whoever owned the folder owns the new one.
Result<void> give_to_owner(const fs::path& stage, const Owner& owner) {
  if (owner.is_us()) return {};
  for (const fs::path& path : {stage, stage / "store.db"})
    if (::chown(path.c_str(), owner.user, owner.group) != 0) return errno_error(errno, "chown " + path.string());
  return {};
}

/// The name in its folder is not synced yet.
Result<void> write_key(const std::string& source, const std::string& target, const Owner& owner) {
  auto key = load_key(source, false);
  if (!key) return key.error();
  const std::string fresh = target + ".restoring";
  ::unlink(fresh.c_str());
  UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error(errno, "make " + fresh);
  Result<void> written;
  if (::write(file.get(), key->data(), key->size()) != static_cast<ssize_t>(key->size()))
    written = errno_error(errno, "write " + fresh);
  else if (!owner.is_us() && ::fchown(file.get(), owner.user, owner.group) != 0)
    written = errno_error(errno, "chown " + fresh);
  else if (::fsync(file.get()) != 0)
    written = errno_error(errno, "sync " + fresh);
  else
    written = rename_path(fresh, target);
  if (!written) ::unlink(fresh.c_str());
  return written;
}

/// Steps that are taken back in reverse order unless all were made.
class Exchange {
 public:
  ~Exchange() {
    if (done_) return;
    for (auto step = moved_.rbegin(); step != moved_.rend(); ++step) {
      if (step->second.empty())
        ::unlink(step->first.c_str());
      else
        (void)::rename(step->second.c_str(), step->first.c_str());
    }
  }
  Result<void> move(const fs::path& from, const fs::path& to) {
    auto moved = rename_path(from, to);
    if (moved) moved_.emplace_back(from, to);
    return moved;
  }
  /// A new file, to be removed if it comes to that.
  void made(const fs::path& path) { moved_.emplace_back(path, fs::path()); }
  void done() { done_ = true; }

 private:
  std::vector<std::pair<fs::path, fs::path>> moved_;
  bool done_ = false;
};

/// Removes a folder that held a lock file at most; false when it stays. Never takes anything else with it.
bool remove_empty(const fs::path& folder) {
  auto state = has_state(folder);
  if (!state || *state) return false;
  ::unlink((folder / kLockName).c_str());
  return ::rmdir(folder.c_str()) == 0;
}

Result<std::string> put_in_place(const RestoreOptions& options, const KeyPlan& key, const Owner& owner, Stage& stage) {
  const fs::path folder = options.folder;
  const std::string mark = ".before-" + now_rfc3339();
  std::string set_aside;
  Exchange exchange;
  if (key.replaces)
    if (auto moved = exchange.move(options.key_file, options.key_file + mark); !moved) return moved.error();
  if (key.install) {
    if (auto written = write_key(key.source, options.key_file, owner); !written) return written.error();
    exchange.made(options.key_file);
    // Before the store that only it can open.
    if (auto synced = sync_folder(fs::path(options.key_file).parent_path()); !synced) return synced.error();
  }
  if (fs::exists(folder)) {
    set_aside = folder.string() + mark;
    if (auto moved = exchange.move(folder, set_aside); !moved) return moved.error();
  }
  if (auto moved = exchange.move(stage.path, folder); !moved) return moved.error();
  if (auto synced = sync_folder(folder.parent_path()); !synced) return synced.error();
  exchange.done();
  stage.kept = true;
  if (!set_aside.empty() && remove_empty(set_aside)) set_aside.clear();
  return set_aside;
}

}  // namespace

Result<Restored> restore_store(const RestoreOptions& asked) {
  RestoreOptions options = asked;
  while (options.folder.size() > 1 && options.folder.ends_with('/')) options.folder.pop_back();
  options.folder = fs::absolute(options.folder).string();
  const fs::path folder = options.folder;
  if (options.key_file.empty()) options.key_file = (folder.parent_path() / "store.key").string();
  options.key_file = fs::absolute(options.key_file).string();
  auto state = has_state(folder);
  if (!state) return state.error().context("nothing was changed");
  if (*state && options.state == RestoreOptions::State::refuse)
    return Error{Code::failed_precondition,
                 folder.string() + " has a store: nothing was changed. With --force it is set aside, not deleted"};
  auto lock = lock_out(folder);
  if (!lock) return lock.error();
  auto key = plan_key(options);
  if (!key) return key.error();

  std::error_code failed;
  fs::create_directories(folder.parent_path(), failed);
  Stage stage{folder.string() + ".restoring"};
  fs::remove_all(stage.path, failed);
  if (::mkdir(stage.path.c_str(), 0700) != 0) return errno_error(errno, "make " + stage.path.string());
  auto manifest = extract(options.archive, (stage.path / "store.db").string());
  if (!manifest) return manifest.error();
  auto restored = prove(stage.path, key->source);
  if (!restored) return restored.error().context("open the store of the archive");
  restored->manifest = std::move(*manifest);
  if (options.extent == RestoreOptions::Extent::check) return restored;
  const Owner owner = owner_of(folder);
  if (auto given = give_to_owner(stage.path, owner); !given) return given.error();
  auto set_aside = put_in_place(options, *key, owner, stage);
  if (!set_aside) return set_aside.error();
  restored->set_aside = std::move(*set_aside);
  return restored;
}

}  // namespace flynn::store
