#include "build_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "flynn/sdk/stream.h"
#include "process/child.h"

namespace flynn::builder {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kAppUser = 5000;
constexpr std::size_t kResultBytesMax = 65536;
constexpr std::size_t kProcessTypesMax = 64;
constexpr std::int64_t kTimeMax = 4'294'967'295;  // squashfs keeps 32 bits

Result<void> make_folder(const std::string& path, uid_t owner, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) return errno_error(errno, "make the folder " + path);
  if (::chown(path.c_str(), owner, owner) != 0) return errno_error(errno, "give away the folder " + path);
  return {};
}

Result<void> write_variable(const std::string& folder, const std::string& name, const std::string& value) {
  std::string path = folder + "/" + name;
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400));
  if (!file || ::fchown(file.get(), kAppUser, kAppUser) != 0) return errno_error(errno, "write the variable " + name);
  return write_all(file.get(), value, Deadline::none()).ok() ? Result<void>()
                                                             : errno_error(EIO, "write the variable " + name);
}

json::object mount(const std::string& source, const char* target, bool writeable) {
  return {{"source", source}, {"target", target}, {"writeable", writeable}};
}

}  // namespace

bool is_process_type(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && !std::isdigit(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

Result<BuildFolder> BuildFolder::make(const BuildConfig& config, const std::string& build_id, const json::object& env) {
  BuildFolder folder(config.data_dir + "/builds/" + build_id);
  std::string app_tree = folder.slug_tree() + "/app";
  for (const auto& [path, owner, mode] :
       std::initializer_list<std::tuple<std::string, uid_t, mode_t>>{{folder.path_, 0, 0711},
                                                                     {folder.slug_tree(), 0, 0755},
                                                                     {app_tree, kAppUser, 0755},
                                                                     {folder.path_ + "/output", kAppUser, 0755},
                                                                     {folder.path_ + "/env", kAppUser, 0500},
                                                                     {folder.path_ + "/cache", kAppUser, 0755}}) {
    if (auto made = make_folder(path, owner, mode); !made) return made.error();
  }
  for (const auto& [name, value] : env) {
    if (!is_variable_name(name) || !value.is_string()) continue;
    auto text = value.get_string();
    if (auto wrote = write_variable(folder.path_ + "/env", std::string(name), std::string(text)); !wrote)
      return wrote.error();
  }
  return folder;
}

BuildFolder::~BuildFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

json::array BuildFolder::mounts(const BuildConfig& config, const std::string& app_id) const {
  json::array mounts{mount(config.buildpacks_dir, "/buildpacks", false),
                     mount(slug_tree() + "/app", "/tmp/build", true), mount(path_ + "/output", "/output", true),
                     mount(path_ + "/env", "/env", false), mount(path_ + "/cache", "/cache", true)};
  std::error_code ignored;
  if (fs::is_directory(config.cache(app_id), ignored))
    mounts.push_back(mount(config.cache(app_id), "/cache.previous", false));
  return mounts;
}

Result<BuildResult> BuildFolder::result() const {
  std::string path = path_ + "/output/result.json";
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode))
    return Error{Code::internal, "the build left no result"};
  auto document = parse_json_object(process::read_to_end(file.get(), kResultBytesMax));
  if (!document) return document.error().context("result of the build");
  BuildResult result;
  result.process_types = strings_or_empty(*document, "process_types");
  result.source_time = std::clamp<std::int64_t>(int_or(*document, "source_time"), 0, kTimeMax);
  if (result.process_types.empty() || result.process_types.size() > kProcessTypesMax ||
      !std::all_of(result.process_types.begin(), result.process_types.end(), is_process_type)) {
    return Error{Code::invalid_argument, "result of the build: its process types are not acceptable"};
  }
  return result;
}

Result<void> BuildFolder::keep_cache(const BuildConfig& config, const std::string& app_id) const {
  std::string fresh = path_ + "/cache", kept = config.cache(app_id);
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, kept.c_str(), RENAME_EXCHANGE) == 0) return {};
  if (errno != ENOENT || ::rename(fresh.c_str(), kept.c_str()) != 0) return errno_error(errno, "keep the build cache");
  return {};
}

}  // namespace flynn::builder
