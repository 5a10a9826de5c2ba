#include "tree_export.h"

#include <archive.h>
#include <archive_entry.h>
#include <git2.h>

#include <memory>

namespace flynn::builder {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Repository = std::unique_ptr<git_repository, Freer<git_repository_free>>;
using Commit = std::unique_ptr<git_commit, Freer<git_commit_free>>;
using Tree = std::unique_ptr<git_tree, Freer<git_tree_free>>;
using Blob = std::unique_ptr<git_blob, Freer<git_blob_free>>;
using Odb = std::unique_ptr<git_odb, Freer<git_odb_free>>;
using Archive = std::unique_ptr<archive, Freer<archive_write_free>>;
using Entry = std::unique_ptr<archive_entry, Freer<archive_entry_free>>;

Error libgit2_error(const std::string& doing) {
  const auto* error = git_error_last();
  return Error{
      Code::internal,
      doing + ": " + (error != nullptr && error->message != nullptr ? error->message : "unknown error of libgit2")};
}

class Exporter {
 public:
  Exporter(git_repository* repository, archive* out, git_time_t time)
      : repository_(repository), out_(out), time_(time) {}
  int entry(const char* root, const git_tree_entry* item);
  Error error;
  ExportReport report;

 private:
  bool write(archive_entry* head, const void* data, std::size_t size);
  bool write_blob(archive_entry* head, const git_tree_entry* item, git_filemode_t mode);
  git_repository* repository_;
  archive* out_;
  git_time_t time_;
};

bool Exporter::write(archive_entry* head, const void* data, std::size_t size) {
  archive_entry_set_mtime(head, static_cast<time_t>(time_), 0);
  if (archive_write_header(out_, head) != ARCHIVE_OK ||
      (size > 0 && archive_write_data(out_, data, size) != static_cast<la_ssize_t>(size))) {
    error =
        Error{Code::internal, std::string("write the source archive: ") +
                                  (archive_error_string(out_) ? archive_error_string(out_) : "the reader has gone")};
    return false;
  }
  return true;
}

bool Exporter::write_blob(archive_entry* head, const git_tree_entry* item, git_filemode_t mode) {
  git_blob* raw = nullptr;
  if (git_blob_lookup(&raw, repository_, git_tree_entry_id(item)) != 0) {
    error = libgit2_error(std::string("read ") + archive_entry_pathname(head));
    return false;
  }
  Blob blob(raw);
  auto size = static_cast<std::size_t>(git_blob_rawsize(raw));
  const void* data = git_blob_rawcontent(raw);
  ++report.files;
  if (mode == GIT_FILEMODE_LINK) {
    archive_entry_set_filetype(head, AE_IFLNK);
    archive_entry_set_perm(head, 0777);
    archive_entry_set_symlink(head, std::string(static_cast<const char*>(data), size).c_str());
    return write(head, nullptr, 0);
  }
  archive_entry_set_filetype(head, AE_IFREG);
  archive_entry_set_perm(head, mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644);
  archive_entry_set_size(head, static_cast<la_int64_t>(size));
  return write(head, data, size);
}

int Exporter::entry(const char* root, const git_tree_entry* item) {
  Entry head(archive_entry_new());
  std::string path = std::string(root) + git_tree_entry_name(item);
  archive_entry_set_pathname(head.get(), path.c_str());
  git_filemode_t mode = git_tree_entry_filemode(item);
  if (mode == GIT_FILEMODE_COMMIT) {
    ++report.submodules;
    return 0;
  }
  if (mode != GIT_FILEMODE_TREE) return write_blob(head.get(), item, mode) ? 0 : -1;
  archive_entry_set_filetype(head.get(), AE_IFDIR);
  archive_entry_set_perm(head.get(), 0755);
  return write(head.get(), nullptr, 0) ? 0 : -1;
}

Result<Repository> open_repository(const std::string& path, const std::string& quarantine) {
  git_repository* raw = nullptr;
  if (git_repository_open_bare(&raw, path.c_str()) != 0) return libgit2_error("open the repository");
  Repository repository(raw);
  if (!quarantine.empty()) {
    git_odb* raw_odb = nullptr;
    if (git_repository_odb(&raw_odb, raw) != 0) return libgit2_error("open the objects");
    Odb odb(raw_odb);
    if (git_odb_add_disk_alternate(raw_odb, quarantine.c_str()) != 0) return libgit2_error("open the pushed objects");
  }
  return repository;
}

Result<ExportReport> export_commit(git_repository* repository, const std::string& id, int fd) {
  git_oid oid;
  git_commit* raw_commit = nullptr;
  git_tree* raw_tree = nullptr;
  if (id.size() != GIT_OID_HEXSZ || git_oid_fromstr(&oid, id.c_str()) != 0) {
    return Error{Code::invalid_argument, "commit: is no object id"};
  }
  if (git_commit_lookup(&raw_commit, repository, &oid) != 0) return libgit2_error("read commit " + id);
  Commit commit(raw_commit);
  if (git_commit_tree(&raw_tree, raw_commit) != 0) return libgit2_error("read the tree of commit " + id);
  Tree tree(raw_tree);
  Archive out(archive_write_new());
  archive_write_set_format_pax_restricted(out.get());
  if (archive_write_open_fd(out.get(), fd) != ARCHIVE_OK) return Error{Code::internal, "open the source archive"};
  Exporter exporter(repository, out.get(), git_commit_time(raw_commit));
  auto visit = [](const char* root, const git_tree_entry* item, void* self) {
    return static_cast<Exporter*>(self)->entry(root, item);
  };
  if (git_tree_walk(raw_tree, GIT_TREEWALK_PRE, visit, &exporter) != 0) {
    return exporter.error.message.empty() ? libgit2_error("read the tree of commit " + id) : exporter.error;
  }
  if (archive_write_close(out.get()) != ARCHIVE_OK) return Error{Code::internal, "end the source archive"};
  return exporter.report;
}

}  // namespace

Result<ExportReport> export_tree(const std::string& repository, const std::string& quarantine, const std::string& id,
                                 int fd) {
  git_libgit2_init();
  // The bind mount's owner is not looked at: the plugin chose the folder.
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  auto opened = open_repository(repository, quarantine);
  Result<ExportReport> report = opened ? export_commit(opened->get(), id, fd) : Result<ExportReport>(opened.error());
  if (opened) opened->reset();
  git_libgit2_shutdown();
  return report;
}

}  // namespace flynn::builder
