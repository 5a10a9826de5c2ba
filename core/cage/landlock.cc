#include "landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "file_rules.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {
namespace {

// Later than the headers of Debian 12: ABI 3, 4, 5 and 6.
constexpr std::uint64_t kTruncate = 1ULL << 14, kIoctlDevice = 1ULL << 15;
constexpr std::uint64_t kBindTcp = 1, kConnectTcp = 2, kScopeAbstract = 1, kScopeSignal = 2;

struct RulesetAttributes {
  std::uint64_t files = 0, net = 0, scoped = 0;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t kAllOfFirst = (1ULL << 13) - 1;
constexpr std::uint64_t kDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
// What makes sense for a file that is no folder.
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kIoctlDevice;

class Ruleset {
 public:
  Ruleset(long abi, bool net) {
    attributes_.files = kAllOfFirst;
    if (abi >= 2) attributes_.files |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) attributes_.files |= kTruncate;
    if (abi >= 5) attributes_.files |= kIoctlDevice;
    if (abi >= 4 && !net) attributes_.net = kBindTcp | kConnectTcp;
    if (abi >= 6) attributes_.scoped = kScopeAbstract | kScopeSignal;
    const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    fd_ = UniqueFd(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes_, size, 0)));
  }
  bool good() const { return fd_.valid(); }

  /// What is not there needs no rule.
  Result<void> allow(const std::string& path, std::uint64_t access) {
    const UniqueFd target(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!target && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) return {};
    if (!target) return errno_error(errno, "open " + path);
    return allow(target.get(), access).ok() ? Result<void>{} : errno_error(errno, "a Landlock rule for " + path);
  }
  Result<void> allow(int target, std::uint64_t access) {
    struct stat facts {};
    ::fstat(target, &facts);
    access &= attributes_.files;
    if (!S_ISDIR(facts.st_mode)) access &= kOfFiles;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access;
    rule.parent_fd = target;
    if (::syscall(SYS_landlock_add_rule, fd_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
      return errno_error(errno, "a Landlock rule");
    return {};
  }
  Result<void> enforce() const {
    if (::syscall(SYS_landlock_restrict_self, fd_.get(), 0) != 0) return errno_error(errno, "Landlock");
    return {};
  }

 private:
  RulesetAttributes attributes_;
  UniqueFd fd_;
};

std::uint64_t access_of(FileUse use, bool exec) {
  switch (use) {
    case FileUse::read:
      return kRead;
    case FileUse::run:
      return kRead | (exec ? kExecute : 0);
    case FileUse::write:
      return ~kDevices & ~(exec ? 0 : kExecute);
    case FileUse::device:
      return kRead | kWriteFile;
  }
  return 0;
}

}  // namespace

Result<int> restrict_files(const CageWalls& walls, int image) {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return 0;
  Ruleset rules(abi, walls.net);
  if (!rules.good()) return errno_error(errno, "make a Landlock rule set");
  for (const auto& rule : file_rules(walls))
    if (auto allowed = rules.allow(rule.path, access_of(rule.use, walls.exec)); !allowed) return allowed.error();
  if (auto allowed = rules.allow(image, kRead | kExecute); !allowed) return allowed.error();
  if (auto enforced = rules.enforce(); !enforced) return enforced.error();
  return static_cast<int>(abi);
}

}  // namespace flynn::core
