#include "app_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace flynn::cli {
namespace {

constexpr std::size_t kChunk = 64U << 10U;
constexpr mode_t kMemberMode = 0600;  // releases hold secrets

Error archive_error(const std::string& doing, archive* handle) {
  const char* words = archive_error_string(handle);
  return failure(doing + ": " + (words != nullptr ? words : "unknown error")).as(ErrorCode::kFileUnreadable);
}

struct FreeReader {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

Result<std::string> read_document(archive* handle, const std::string& name) {
  std::string text;
  std::array<char, kChunk> bytes;
  for (;;) {
    const auto count = archive_read_data(handle, bytes.data(), bytes.size());
    if (count < 0) return archive_error("read " + name + " of the archive", handle);
    if (count == 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(count));
    if (text.size() > kDocumentBytesMax) return failure("read the archive: " + name + " is too large");
  }
}

}  // namespace

void ArchiveWriter::Free::operator()(archive* handle) const { archive_write_free(handle); }

Result<ArchiveWriter> ArchiveWriter::open(int fd) {
  ArchiveWriter writer(archive_write_new());
  archive* handle = writer.archive_.get();
  archive_write_set_format_pax_restricted(handle);
  if (archive_write_open_fd(handle, fd) != ARCHIVE_OK) return archive_error("write the archive", handle);
  return writer;
}

Status ArchiveWriter::begin(const std::string& name, long long size) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), size);
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), kMemberMode);
  if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK)
    return archive_error("write " + name + " to the archive", archive_.get());
  return Done{};
}

Status ArchiveWriter::write(const char* bytes, std::size_t size) {
  if (archive_write_data(archive_.get(), bytes, size) != static_cast<la_ssize_t>(size))
    return archive_error("write the archive", archive_.get());
  return Done{};
}

Status ArchiveWriter::add(const std::string& name, std::string_view text) {
  if (auto begun = begin(name, static_cast<long long>(text.size())); !begun) return begun;
  return text.empty() ? Status(Done{}) : write(text.data(), text.size());
}

Status ArchiveWriter::add_file(const std::string& name, int fd) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0 || lseek(fd, 0, SEEK_SET) != 0)
    return failure("read " + name + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  if (auto begun = begin(name, facts.st_size); !begun) return begun;
  std::array<char, kChunk> bytes;
  for (;;) {
    const ssize_t count = read(fd, bytes.data(), bytes.size());
    if (count < 0) return failure("read " + name + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    if (count == 0) return Done{};
    if (auto written = write(bytes.data(), static_cast<std::size_t>(count)); !written) return written;
  }
}

Status ArchiveWriter::finish() {
  if (archive_write_close(archive_.get()) != ARCHIVE_OK) return archive_error("write the archive", archive_.get());
  return Done{};
}

Result<ExportedApp> read_archive(int fd) {
  const std::unique_ptr<archive, FreeReader> reader(archive_read_new());
  archive* handle = reader.get();
  archive_read_support_format_tar(handle);
  archive_read_support_filter_all(handle);
  if (archive_read_open_fd(handle, fd, kChunk) != ARCHIVE_OK) return archive_error("read the archive", handle);
  ExportedApp exported;
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(handle, &entry);
    if (code == ARCHIVE_EOF) return exported;
    if (code < ARCHIVE_WARN) return archive_error("read the archive", handle);
    const char* path = archive_entry_pathname(entry);
    const std::string name = std::filesystem::path(path != nullptr ? path : "").filename();
    if (name == "postgres.dump") {
      auto file = temporary_file();
      if (!file) return file.error();
      if (archive_read_data_into_fd(handle, file->get()) != ARCHIVE_OK)
        return archive_error("read the dump of the archive", handle);
      lseek(file->get(), 0, SEEK_SET);
      exported.dump = std::move(*file);
    } else if (name.ends_with(".json")) {
      auto text = read_document(handle, name);
      if (!text) return text.error();
      exported.documents[name] = std::move(*text);
    }
  }
}

Result<UniqueFd> temporary_file() {
  const char* folder = std::getenv("TMPDIR");
  const std::string where = folder != nullptr && *folder != '\0' ? folder : "/tmp";
  UniqueFd file(::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file)
    return failure("make a temporary file in " + where + ": " + std::strerror(errno), "Set TMPDIR to another folder.")
        .as(ErrorCode::kFileUnreadable);
  return file;
}

}  // namespace flynn::cli
