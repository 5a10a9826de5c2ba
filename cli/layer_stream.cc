#include "layer_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "image_archive.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kChunk = 256U << 10U;
constexpr std::size_t kFileBytesMax = 1U << 20U;

// Not all that libarchive knows: some of its filters start other programs.
void take_filters(archive* handle) {
  archive_read_support_filter_gzip(handle);
  archive_read_support_filter_zstd(handle);
  archive_read_support_filter_xz(handle);
  archive_read_support_filter_bzip2(handle);
}

struct Upstream {
  LayerStream* layer;
  std::vector<char> chunk;
  std::string problem;
};

la_ssize_t read_upstream(archive* handle, void* self, const void** bytes) {
  auto& upstream = *static_cast<Upstream*>(self);
  const auto count = upstream.layer->read(upstream.chunk.data(), upstream.chunk.size());
  *bytes = upstream.chunk.data();
  if (count) return static_cast<la_ssize_t>(*count);
  archive_set_error(handle, EIO, "%s", count.error().what.c_str());
  return -1;
}

Result<std::string> read_small(archive* handle) {
  std::string text;
  std::array<char, 16384> bytes;
  for (;;) {
    const auto count = archive_read_data(handle, bytes.data(), bytes.size());
    if (count < 0) return archive_failure("read a file of the layer", handle);
    if (count == 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(count));
    if (text.size() > kFileBytesMax) return failure("read a file of the layer: it is too large");
  }
}

}  // namespace

void FreeReader::operator()(archive* handle) const { archive_read_free(handle); }

Error archive_failure(const std::string& doing, archive* handle) {
  const char* words = archive_error_string(handle);
  return failure(doing + ": " + (words != nullptr ? words : "it is no such archive")).as(ErrorCode::kFileUnreadable);
}

Result<ArchiveReader> open_tar(int fd) {
  if (lseek(fd, 0, SEEK_SET) != 0)
    return failure(std::string("read the image's archive: ") + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  ArchiveReader reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  take_filters(reader.get());
  if (archive_read_open_fd(reader.get(), fd, kChunk) != ARCHIVE_OK)
    return archive_failure("read the image's archive", reader.get());
  return reader;
}

LayerStream::LayerStream(archive* outer) : outer_(outer), chunk_(kChunk), inner_(archive_read_new()) {}

long LayerStream::on_read(archive* handle, void* self, const void** bytes) {
  auto& stream = *static_cast<LayerStream*>(self);
  *bytes = stream.chunk_.data();
  const auto count = archive_read_data(stream.outer_, stream.chunk_.data(), stream.chunk_.size());
  if (count >= 0) return count;
  const char* words = archive_error_string(stream.outer_);
  archive_set_error(handle, EIO, "%s", words != nullptr ? words : "the archive breaks off");
  return -1;
}

Result<std::unique_ptr<LayerStream>> LayerStream::open(archive* outer, std::int64_t member_bytes) {
  std::unique_ptr<LayerStream> stream(new LayerStream(outer));
  archive* inner = stream->inner_.get();
  take_filters(inner);
  archive_read_support_format_raw(inner);
  archive_read_support_format_empty(inner);
  if (archive_read_open(inner, stream.get(), nullptr, &LayerStream::on_read, nullptr) != ARCHIVE_OK)
    return archive_failure("read a layer of the archive", inner);
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(inner, &entry);
  if (code != ARCHIVE_OK && code != ARCHIVE_EOF) return archive_failure("read a layer of the archive", inner);
  stream->empty_ = code == ARCHIVE_EOF;
  if (archive_filter_count(inner) == 1) stream->size_ = stream->empty_ ? 0 : member_bytes;
  return stream;
}

Result<std::size_t> LayerStream::read(char* to, std::size_t size) {
  if (empty_) return std::size_t{0};
  const auto count = archive_read_data(inner_.get(), to, size);
  if (count < 0) return archive_failure("read a layer of the archive", inner_.get());
  return static_cast<std::size_t>(count);
}

Result<std::vector<std::pair<std::string, std::string>>> files_of_layer(LayerStream& layer,
                                                                        const std::vector<std::string>& names) {
  Upstream upstream{&layer, std::vector<char>(kChunk), {}};
  const ArchiveReader reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_empty(reader.get());
  if (archive_read_open(reader.get(), &upstream, nullptr, read_upstream, nullptr) != ARCHIVE_OK)
    return archive_failure("read a layer", reader.get());
  std::vector<std::pair<std::string, std::string>> found;
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(reader.get(), &entry);
    if (code == ARCHIVE_EOF) return found;
    if (code < ARCHIVE_WARN) return archive_failure("read a layer", reader.get());
    const char* path = archive_entry_pathname(entry);
    const std::string name = member_name(path != nullptr ? path : "");
    if (archive_entry_filetype(entry) != AE_IFREG || std::find(names.begin(), names.end(), name) == names.end())
      continue;
    auto text = read_small(reader.get());
    if (!text) return text.error();
    found.emplace_back(name, std::move(*text));
  }
}

}  // namespace flynn::cli
