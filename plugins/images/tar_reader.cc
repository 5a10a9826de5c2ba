#include "tar_reader.h"

namespace flynn::images {
namespace {

constexpr std::size_t kBlockBytes = 64 * 1024;

}  // namespace

std::string archive_words(archive* handle) {
  const char* words = archive_error_string(handle);
  return words != nullptr ? words : "no reason is known";
}

Result<TarReader> TarReader::open(int fd) {
  TarReader reader;
  reader.archive_.reset(archive_read_new());
  archive* handle = reader.archive_.get();
  archive_read_support_format_tar(handle);
  archive_read_support_format_empty(handle);
  if (archive_read_open_fd(handle, fd, kBlockBytes) != ARCHIVE_OK)
    return Error{Code::invalid_argument, "the layer is no tar: " + archive_words(handle)};
  return reader;
}

Result<archive_entry*> TarReader::next() {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(archive_.get(), &entry);
  if (code == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
  // A warning is about a name that is no UTF-8 or an attribute: the entry is whole.
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
    return Error{Code::invalid_argument, "the layer's tar is broken after " + std::to_string(count_) +
                                             " entries: " + archive_words(archive_.get())};
  ++count_;
  return entry;
}

Result<std::size_t> TarReader::read(char* to, std::size_t size) {
  const la_ssize_t count = archive_read_data(archive_.get(), to, size);
  if (count < 0) return Error{Code::invalid_argument, "the layer's tar breaks off: " + archive_words(archive_.get())};
  return static_cast<std::size_t>(count);
}

}  // namespace flynn::images
