#include "archive_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>

#include "digest.h"

namespace flynn::backup {
namespace {

constexpr mode_t kMemberMode = 0600;  // the state of a cluster holds secrets

}  // namespace

struct ArchiveWriter::Stream {
  ArchiveWriter* owner = nullptr;
  Sink sink;
  Digest digest{Digest::Kind::sha512};
  std::optional<Error> error;  // the sink's own words, which libarchive would lose
  struct ::archive* handle = nullptr;
  bool finished = false;

  ~Stream() {
    // Else its end would write the two empty blocks that end a whole archive.
    if (!finished) archive_write_fail(handle);
    archive_write_free(handle);
  }
  static la_ssize_t take(struct ::archive* handle, void* self, const void* bytes, std::size_t size) {
    auto& stream = *static_cast<Stream*>(self);
    if (auto taken = stream.sink({static_cast<const char*>(bytes), size}); !taken) {
      stream.error = taken.error();
      archive_set_error(handle, EIO, "%s", taken.error().message.c_str());
      return -1;
    }
    stream.digest.update(bytes, size);
    stream.owner->bytes_ += size;
    return static_cast<la_ssize_t>(size);
  }
};

ArchiveWriter::ArchiveWriter() : stream_(std::make_unique<Stream>()) {}
ArchiveWriter::~ArchiveWriter() = default;

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::open(Sink sink) {
  std::unique_ptr<ArchiveWriter> writer(new ArchiveWriter);
  Stream& stream = *writer->stream_;
  stream.owner = writer.get();
  stream.sink = std::move(sink);
  stream.handle = archive_write_new();
  if (stream.handle == nullptr) return Error{Code::resource_exhausted, "write the archive: out of memory"};
  archive_write_set_format_pax_restricted(stream.handle);
  archive_write_set_bytes_per_block(stream.handle, static_cast<int>(kChunkBytes));
  archive_write_set_bytes_in_last_block(stream.handle, 1);
  if (archive_write_open(stream.handle, &stream, nullptr, Stream::take, nullptr) != ARCHIVE_OK)
    return writer->failed("write the archive");
  return writer;
}

Error ArchiveWriter::failed(std::string_view doing) const {
  if (stream_->error) return stream_->error->context(doing);
  const char* words = archive_error_string(stream_->handle);
  return Error{Code::internal, std::string(doing) + ": " + (words != nullptr ? words : "unknown error")};
}

Result<void> ArchiveWriter::begin(const std::string& name, std::uint64_t size) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), kMemberMode);
  archive_entry_set_mtime(entry.get(), std::time(nullptr), 0);
  if (archive_write_header(stream_->handle, entry.get()) != ARCHIVE_OK) return failed("write " + name);
  return {};
}

Result<void> ArchiveWriter::write(std::string_view bytes) {
  if (archive_write_data(stream_->handle, bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()))
    return failed("write the archive");
  return {};
}

Result<void> ArchiveWriter::add_file(const std::string& name, int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return errno_error(errno, "read " + name);
  if (!S_ISREG(facts.st_mode)) return Error{Code::invalid_argument, "read " + name + ": it is no regular file"};
  if (members_.size() == kMembersMax)
    return Error{Code::resource_exhausted, "an archive has at most " + std::to_string(kMembersMax) + " members"};
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (auto begun = begin(name, size); !begun) return begun;
  Digest digest(Digest::Kind::sha256);
  std::string chunk(kChunkBytes, '\0');
  for (std::uint64_t at = 0; at < size;) {
    const auto wanted = std::min<std::uint64_t>(chunk.size(), size - at);
    const ssize_t got = ::pread(fd, chunk.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read " + name);
    if (got == 0) return Error{Code::internal, "read " + name + ": the file became shorter meanwhile"};
    const std::string_view bytes(chunk.data(), static_cast<std::size_t>(got));
    digest.update(bytes.data(), bytes.size());
    if (auto written = write(bytes); !written) return written;
    at += bytes.size();
  }
  members_.push_back({name, digest.finish(), size});
  return {};
}

Result<void> ArchiveWriter::finish(json::object document) {
  json::array members;
  for (const Member& member : members_)
    members.push_back(json::object{{"name", member.name}, {"size", member.size}, {"sha256", member.sha256}});
  document["format"] = kFormat;
  document["members"] = std::move(members);
  const std::string text = json::serialize(document) + "\n";
  if (auto begun = begin(std::string(kManifestName), text.size()); !begun) return begun;
  if (auto written = write(text); !written) return written;
  if (archive_write_close(stream_->handle) != ARCHIVE_OK) return failed("end the archive");
  stream_->finished = true;
  sha512_ = stream_->digest.finish();
  return {};
}

}  // namespace flynn::backup
