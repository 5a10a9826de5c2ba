#include "plugin_image.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <fstream>

#include "flynn/sdk/unique_fd.h"
#include "forever.h"
#include "plugin_signature.h"
#include "sha256.h"

namespace flynn::core {
namespace {

constexpr std::uintmax_t kSignatureFileBytesMax = 64u << 10;

Result<std::string> digest_and_copy(int source, int copy) {
  Sha256 digest;
  std::array<char, 65536> chunk{};
  while (true) {
    const ssize_t got = ::read(source, chunk.data(), chunk.size());
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) break;
    digest.update({chunk.data(), static_cast<std::size_t>(got)});
    for (ssize_t done = 0; done < got;) {
      const ssize_t written = ::write(copy, chunk.data() + done, static_cast<std::size_t>(got - done));
      if (written < 0) return errno_error(errno, "write");
      done += written;
    }
  }
  return digest.hex();
}

// The file's signature stays with its copy. None is no error here: the policy judges that.
Result<void> copy_signature(const std::filesystem::path& source, const std::filesystem::path& copy) {
  const auto from = signature_path(source), to = signature_path(copy);
  std::error_code failure;
  if (!std::filesystem::exists(from, failure)) return {};
  const auto size = std::filesystem::file_size(from, failure);
  if (failure || size > kSignatureFileBytesMax)
    return Error{Code::invalid_argument,
                 from.string() + " is no signature: it is larger than 64 KiB or not a regular file"};
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, failure);
  if (failure) return errno_error(failure.value(), "copy " + from.string());
  return {};
}

// What the linker says, without the library's wrapping and the name of the private copy, and what to do about it.
std::string linker_words(std::string words, const std::filesystem::path& copy) {
  const std::string_view begin = "(dlerror system message: ", end = "): ";
  if (const auto at = words.find(begin); at != std::string::npos) {
    const auto from = at + begin.size();
    words = words.substr(from, words.rfind(end) - from);
  }
  if (const auto own = copy.string() + ": "; words.starts_with(own)) words.erase(0, own.size());
  if (words.find("undefined symbol") != std::string::npos)
    words += "; link it with what has that symbol (flynn_add_plugin, by -z defs, says so when it is linked)";
  else if (words.find("cannot open shared object file") != std::string::npos)
    words += "; install that library on this machine, or link it statically";
  return words;
}

}  // namespace

Result<std::string> digest_of_file(const std::filesystem::path& file) { return sha256_of_file(file); }

Result<StagedFile> stage_plugin(const std::filesystem::path& source, const std::filesystem::path& folder,
                                std::int64_t generation) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return errno_error(failure.value(), "make folder " + folder.string());
  const UniqueFd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!in) return errno_error(errno, "open " + source.string());
  const auto temporary = folder / ("." + std::to_string(generation) + ".new");
  const UniqueFd out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0555));
  if (!out) return errno_error(errno, "make " + temporary.string());
  auto digest = digest_and_copy(in.get(), out.get());
  if (!digest) {
    ::unlink(temporary.c_str());
    return digest.error().context("copy " + source.string() + " to " + temporary.string());
  }
  ::fchmod(out.get(), 0555);  // a cage's user may read it, though not reach it
  // The disk begins now, so that the commit's sync hardly waits; what this says does not matter.
  (void)::sync_file_range(out.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  StagedFile staged{folder / (std::to_string(generation) + "-" + digest->substr(0, 12) + ".so"), *digest};
  if (::rename(temporary.c_str(), staged.path.c_str()) != 0) return errno_error(errno, "rename " + temporary.string());
  if (auto copied = copy_signature(source, staged.path); !copied) {
    remove_staged(staged.path);
    return copied.error();
  }
  return staged;
}

Result<void> sync_staged(const std::filesystem::path& path) {
  for (const auto& one : {path, signature_path(path), path.parent_path()}) {
    const UniqueFd fd(::open(one.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT && one != path) continue;  // not signed
    if (!fd || ::fsync(fd.get()) != 0) return errno_error(errno, "sync " + one.string());
  }
  return {};
}

void remove_staged(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  std::filesystem::remove(signature_path(path), ignored);
}

PluginImage::PluginImage(StagedFile file) : file_(std::move(file)) {}

PluginImage::~PluginImage() { abandon(); }

Result<std::unique_ptr<PluginImage>> PluginImage::load(StagedFile file, const Manifest& manifest) {
  std::unique_ptr<PluginImage> image(new PluginImage(std::move(file)));
  namespace load_mode = boost::dll::load_mode;
  try {
    // The throwing form: the other one says "Bad file descriptor" whatever went wrong.
    image->library_ = std::make_unique<boost::dll::shared_library>(image->file_.path.string(),
                                                                   load_mode::rtld_now | load_mode::rtld_local);
    const auto entry = image->library_->get<const flynn_plugin*()>("flynn_plugin_entry_1");
    image->descriptor_ = entry();
  } catch (const std::exception& error) {
    return Error{Code::failed_precondition,
                 "load " + manifest.name + ": " + linker_words(error.what(), image->file_.path)};
  }
  const auto* descriptor = image->descriptor_;
  if (descriptor == nullptr || !FLYNN_HAS(descriptor, create) || descriptor->abi_major != manifest.abi_major ||
      descriptor->abi_minor < manifest.abi_minor) {
    image->unload();
    return Error{Code::failed_precondition,
                 "load " + manifest.name + ": its entry does not return the descriptor that its manifest announces"};
  }
  return image;
}

bool PluginImage::unload() {
  if (!library_) return true;
  library_->unload();
  library_.reset();
  // What dlclose returns says nothing; whether the linker still knows the name does.
  if (void* handle = ::dlopen(file_.path.c_str(), RTLD_NOW | RTLD_NOLOAD); handle != nullptr) {
    ::dlclose(handle);
    return false;
  }
  return !is_mapped(file_.path);
}

void PluginImage::abandon() {
  if (!library_) return;
  // Somebody may still run in it, and its static objects live as long as the process.
  keep_forever(std::shared_ptr<void>(std::move(library_)));
}

bool is_mapped(const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(file.string()) != std::string::npos) return true;
  return false;
}

}  // namespace flynn::core
