#include "plan_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "flynn/sdk/stream.h"
#include "tar_reader.h"

namespace flynn::images {
namespace {

using Kind = PlannedEntry::Kind;

struct Free {
  void operator()(archive* handle) const { archive_write_free(handle); }
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

class PlanWriter {
 public:
  PlanWriter(int out, Deadline deadline, const StopSignal& stop)
      : out_(out), deadline_(deadline), stop_(stop), archive_(archive_write_new()) {}

  Result<void> open() {
    archive* handle = archive_.get();
    archive_write_set_format_pax(handle);
    archive_write_set_format_option(handle, "pax", "xattrheader", "SCHILY");
    archive_write_set_bytes_per_block(handle, 64 * 1024);
    archive_write_set_bytes_in_last_block(handle, 1);
    if (archive_write_open(handle, this, nullptr, &PlanWriter::on_bytes, nullptr) != ARCHIVE_OK)
      return failure("begin");
    return {};
  }

  Result<void> header(const std::string& path, const PlannedEntry& planned) {
    const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
    archive_entry_copy_pathname(entry.get(), path.c_str());
    archive_entry_set_perm(entry.get(), planned.mode & 07777);
    archive_entry_set_uid(entry.get(), planned.uid);
    archive_entry_set_gid(entry.get(), planned.gid);
    archive_entry_set_mtime(entry.get(), planned.mtime, 0);
    archive_entry_set_size(entry.get(), 0);
    switch (planned.kind) {
      case Kind::folder:
        archive_entry_set_filetype(entry.get(), AE_IFDIR);
        break;
      case Kind::file:
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_size(entry.get(), planned.size);
        break;
      case Kind::symlink:
        archive_entry_set_filetype(entry.get(), AE_IFLNK);
        archive_entry_copy_symlink(entry.get(), planned.target.c_str());
        break;
      case Kind::device:
        archive_entry_set_filetype(entry.get(), planned.mode & S_IFMT);
        archive_entry_set_rdev(entry.get(), planned.device);
        break;
      case Kind::pipe:
        archive_entry_set_filetype(entry.get(), AE_IFIFO);
        break;
      case Kind::hard_link:
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_copy_hardlink(entry.get(), planned.target.c_str());
        break;
    }
    for (const auto& [name, value] : planned.attributes)
      archive_entry_xattr_add_entry(entry.get(), name.c_str(), value.data(), value.size());
    if (planned.opaque) archive_entry_xattr_add_entry(entry.get(), "trusted.overlay.opaque", "y", 1);
    const int code = archive_write_header(archive_.get(), entry.get());
    return code == ARCHIVE_OK || code == ARCHIVE_WARN ? Result<void>() : failure("write " + path);
  }

  Result<void> content(std::string_view bytes) {
    while (!bytes.empty()) {
      const la_ssize_t count = archive_write_data(archive_.get(), bytes.data(), bytes.size());
      if (count <= 0) return failure("write a file");
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

  Result<void> close() { return archive_write_close(archive_.get()) == ARCHIVE_OK ? Result<void>() : failure("end"); }

 private:
  static la_ssize_t on_bytes(archive* handle, void* self, const void* bytes, std::size_t size) {
    auto& writer = *static_cast<PlanWriter*>(self);
    if (writer.stop_.asked()) {
      writer.sent_ = Error{Code::unavailable, "the plugin images is being stopped"};
    } else {
      writer.sent_ = write_all(writer.out_, {static_cast<const char*>(bytes), size}, writer.deadline_);
    }
    if (writer.sent_) return static_cast<la_ssize_t>(size);
    archive_set_error(handle, EPIPE, "%s", writer.sent_.error().message.c_str());
    return -1;
  }

  Error failure(const std::string& doing) const {
    if (!sent_) return sent_.error();
    return {Code::internal, "the layer's new tar: " + doing + ": " + archive_words(archive_.get())};
  }

  const int out_;
  const Deadline deadline_;
  const StopSignal& stop_;
  Result<void> sent_;
  std::unique_ptr<archive, Free> archive_;
};

Result<void> write_content(const PlannedEntry& planned, TarReader& reader, PlanWriter& writer,
                           std::vector<char>& chunk) {
  for (std::int64_t left = planned.size; left > 0;) {
    auto count = reader.read(chunk.data(), std::min<std::size_t>(chunk.size(), static_cast<std::size_t>(left)));
    if (!count) return count.error();
    if (*count == 0) return Error{Code::invalid_argument, "the layer's tar breaks off in a file"};
    if (auto written = writer.content({chunk.data(), *count}); !written) return written;
    left -= static_cast<std::int64_t>(*count);
  }
  return {};
}

Result<void> write_files(const LayerPlan& plan, int tar, PlanWriter& writer) {
  auto reader = TarReader::open(tar);
  if (!reader) return reader.error();
  std::vector<char> chunk(128 * 1024);
  for (;;) {
    auto entry = reader->next();
    if (!entry) return entry.error();
    if (*entry == nullptr) return {};
    const char* name = archive_entry_pathname(*entry);
    auto path = checked_path(name != nullptr ? name : "");
    if (!path) return path.error();
    const auto found = plan.entries().find(*path);
    if (found == plan.entries().end() || found->second.kind != Kind::file) continue;
    if (found->second.number != reader->number()) continue;  // one of the same name comes later
    if (auto written = writer.header(*path, found->second); !written) return written;
    if (auto written = write_content(found->second, *reader, writer, chunk); !written) return written;
  }
}

Result<void> write_kinds(const LayerPlan& plan, PlanWriter& writer, bool (*wanted)(Kind)) {
  for (const auto& [path, entry] : plan.entries()) {
    if (!wanted(entry.kind)) continue;
    if (auto written = writer.header(path, entry); !written) return written;
  }
  return {};
}

}  // namespace

Result<void> write_plan(const LayerPlan& plan, int tar, int out, Deadline deadline, const StopSignal& stop) {
  if (::lseek(tar, 0, SEEK_SET) != 0) return errno_error(errno, "read the layer again");
  const Utf8Thread utf8;
  PlanWriter writer(out, deadline, stop);
  if (auto opened = writer.open(); !opened) return opened;
  // Folders before what is in them, files before the hard links to them.
  auto is_folder = [](Kind kind) { return kind == Kind::folder; };
  auto is_special = [](Kind kind) { return kind == Kind::symlink || kind == Kind::device || kind == Kind::pipe; };
  auto is_link = [](Kind kind) { return kind == Kind::hard_link; };
  if (auto written = write_kinds(plan, writer, is_folder); !written) return written;
  if (auto written = write_files(plan, tar, writer); !written) return written;
  if (auto written = write_kinds(plan, writer, is_special); !written) return written;
  if (auto written = write_kinds(plan, writer, is_link); !written) return written;
  return writer.close();
}

}  // namespace flynn::images
