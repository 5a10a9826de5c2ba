#include "archive_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "digest.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::backup {
namespace {

constexpr std::size_t kNameBytesMax = 512;

Error broken(const std::string& why) {
  return Error{Code::invalid_argument, why + ": the archive is cut off or was altered, so nothing of it can be used"};
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const auto segment = name.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return false;
    begin = end + 1;
  }
  return true;
}

class Reader {
 public:
  /// `length`: of the source, where it is known.
  Reader(const Source& source, const Taker& taker, std::optional<std::uint64_t> length = {})
      : source_(source),
        taker_(taker),
        length_(length),
        chunk_(kChunkBytes, '\0'),
        handle_(archive_read_new(), archive_read_free) {}

  Result<Manifest> read();

 private:
  static la_ssize_t give(struct ::archive* handle, void* self, const void** bytes);
  Error failed(const std::string& doing) const;
  Result<bool> next();
  Result<void> check(archive_entry* entry, const std::string& name) const;
  Result<void> read_member(const std::string& name);
  Result<void> read_manifest();
  Result<void> each_chunk(const std::string& name, const std::function<Result<void>(std::string_view)>& take);
  Result<Manifest> judge() const;

  const Source& source_;
  const Taker& taker_;
  const std::optional<std::uint64_t> length_;
  std::uint64_t given_ = 0, unpacked_ = 0;  // bytes of the source, and of the members and the manifest
  std::string chunk_;
  std::optional<Error> error_;  // the source's own
  std::unique_ptr<struct ::archive, int (*)(struct ::archive*)> handle_;
  std::map<std::string, Member> seen_;
  std::optional<std::string> manifest_;
};

la_ssize_t Reader::give(struct ::archive* handle, void* self, const void** bytes) {
  auto& reader = *static_cast<Reader*>(self);
  auto got = reader.source_(reader.chunk_.data(), reader.chunk_.size());
  if (!got) {
    reader.error_ = got.error();
    archive_set_error(handle, EIO, "%s", got.error().message.c_str());
    return -1;
  }
  *bytes = reader.chunk_.data();
  reader.given_ += *got;
  return static_cast<la_ssize_t>(*got);
}

Error Reader::failed(const std::string& doing) const {
  if (error_) return error_->context(doing);
  const char* words = archive_error_string(handle_.get());
  return broken(doing + ": " + (words != nullptr ? words : "unknown error"));
}

Result<void> Reader::each_chunk(const std::string& name, const std::function<Result<void>(std::string_view)>& take) {
  std::string bytes(kChunkBytes, '\0');
  while (true) {
    const auto count = archive_read_data(handle_.get(), bytes.data(), bytes.size());
    if (count < 0) return failed("read " + name + " of the archive");
    if (count == 0) return {};
    unpacked_ += static_cast<std::uint64_t>(count);
    if (unpacked_ > given_) return broken("member " + name + " has more bytes than the archive gave");
    if (auto taken = take({bytes.data(), static_cast<std::size_t>(count)}); !taken) return taken;
  }
}

Result<void> Reader::read_member(const std::string& name) {
  if (seen_.size() == kMembersMax) return broken("there are more than " + std::to_string(kMembersMax) + " members");
  bool wanted = false;
  if (taker_.begin) {
    auto begun = taker_.begin(name);
    if (!begun) return begun.error();
    wanted = *begun;
  }
  Member member{name, {}, 0};
  Digest digest(Digest::Kind::sha256);
  auto read = each_chunk(name, [&](std::string_view bytes) -> Result<void> {
    digest.update(bytes.data(), bytes.size());
    member.size += bytes.size();
    return wanted ? taker_.bytes(bytes) : Result<void>();
  });
  if (!read) return read;
  member.sha256 = digest.finish();
  if (!seen_.emplace(name, std::move(member)).second) return broken("member " + name + " is there twice");
  return {};
}

Result<void> Reader::read_manifest() {
  manifest_.emplace();
  return each_chunk(std::string(kManifestName), [&](std::string_view bytes) -> Result<void> {
    *manifest_ += bytes;
    return manifest_->size() <= kManifestBytesMax ? Result<void>() : broken("flynn.json is too large");
  });
}

/// Before a byte of it is taken.
Result<void> Reader::check(archive_entry* entry, const std::string& name) const {
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr || !is_safe_name(name))
    return broken("a member is no plain file with a plain name");
  if (manifest_) return broken("member " + name + " comes after the manifest");
  // The writer makes none, and they would unpack to any size.
  if (archive_entry_sparse_count(entry) > 0) return broken("member " + name + " has holes");
  const auto size = archive_entry_size(entry);
  if (size < 0 || (length_ && static_cast<std::uint64_t>(size) > *length_))
    return broken("member " + name + " claims to be larger than the archive");
  return {};
}

/// False at the end.
Result<bool> Reader::next() {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(handle_.get(), &entry);
  if (code == ARCHIVE_EOF) return false;
  if (code < ARCHIVE_WARN) return failed("read the archive");
  const char* path = archive_entry_pathname(entry);
  const std::string name = path != nullptr ? path : "";
  if (auto checked = check(entry, name); !checked) return checked.error();
  auto read = name == kManifestName ? read_manifest() : read_member(name);
  if (!read) return read.error();
  return true;
}

Result<Manifest> Reader::judge() const {
  if (!manifest_) return broken("the archive has no flynn.json");
  auto document = parse_json_object(*manifest_);
  if (!document) return broken("flynn.json is no JSON object");
  const std::int64_t format = int_or(*document, "format");
  if (format > kFormat)
    return Error{Code::unimplemented, "the archive has format " + std::to_string(format) +
                                          ", which is newer than this program: use the version that it was made with"};
  const json::array* named = find_array(*document, "members");
  if (format < 1 || named == nullptr) return broken("flynn.json is no manifest");
  Manifest manifest;
  std::set<std::string> names;
  for (const json::value& item : *named) {
    if (!item.is_object()) return broken("flynn.json is no manifest");
    const auto found = seen_.find(string_or(item.get_object(), "name"));
    if (found == seen_.end()) return broken("member " + string_or(item.get_object(), "name") + " is missing");
    const Member& member = found->second;
    if (!names.insert(member.name).second) return broken("flynn.json names member " + member.name + " twice");
    if (static_cast<std::int64_t>(member.size) != int_or(item.get_object(), "size", -1) ||
        member.sha256 != string_or(item.get_object(), "sha256"))
      return broken("member " + member.name + " has another size or SHA-256 than flynn.json says");
    manifest.members.push_back(member);
    manifest.bytes += member.size;
  }
  if (names.size() != seen_.size()) return broken("there are members that flynn.json does not name");
  manifest.document = std::move(*document);
  return manifest;
}

Result<Manifest> Reader::read() {
  archive_read_support_format_tar(handle_.get());
  if (archive_read_open(handle_.get(), this, nullptr, give, nullptr) != ARCHIVE_OK) return failed("read the archive");
  while (true) {
    auto more = next();
    if (!more) return more.error();
    if (!*more) break;
  }
  auto manifest = judge();
  if (!manifest) return manifest;
  // libarchive stops at the end of the tar; who copies the stream wants the rest too.
  while (true) {
    auto got = source_(chunk_.data(), chunk_.size());
    if (!got) return got.error();
    if (*got == 0) return manifest;
  }
}

}  // namespace

const Member* Manifest::find(std::string_view name) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.name == name; });
  return found == members.end() ? nullptr : &*found;
}

Source source_of(int fd) {
  return [fd](char* into, std::size_t size) -> Result<std::size_t> {
    while (true) {
      const ssize_t got = ::read(fd, into, size);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return errno_error(errno, "read the archive");
    }
  };
}

Result<Manifest> read_archive(const Source& source, const Taker& taker) { return Reader(source, taker).read(); }

Result<Manifest> read_archive_file(const std::string& path, const Taker& taker) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error(errno, "open " + path);
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return Error{Code::invalid_argument, "open " + path + ": it is no regular file, and it must be read twice"};
  const Source source = source_of(file.get());
  auto manifest = Reader(source, taker, static_cast<std::uint64_t>(facts.st_size)).read();
  if (!manifest) return manifest.error().context(path);
  return manifest;
}

}  // namespace flynn::backup
