#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ostream>

#include "../documents.h"
#include "../progress_line.h"
#include "../session.h"
#include "../terminal.h"
#include "backup/archive_reader.h"
#include "families.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::cli {
namespace {

constexpr std::uint64_t kProgressBytes = 1U << 20U;

/// PATH.part, readable by its owner alone; gone unless `keep` gave it its name.
class PartFile {
 public:
  static Result<PartFile> open(const std::string& path) {
    PartFile file;
    const std::string part = path + ".part";
    file.fd_.reset(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.fd_) return file_failure("create " + part);
    file.path_ = path;
    if (::fchmod(file.fd_.get(), 0600) != 0) return file_failure("make " + part + " private");
    return file;
  }
  PartFile(PartFile&& other) noexcept : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})) {}
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile() {
    if (!path_.empty()) ::unlink((path_ + ".part").c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  Status keep() {
    if (::fsync(fd_.get()) != 0) return file_failure("write " + path_);
    if (::rename((path_ + ".part").c_str(), path_.c_str()) != 0) return file_failure("name " + path_);
    path_.clear();
    return Done{};
  }

 private:
  PartFile() = default;
  static Error file_failure(const std::string& doing) {
    return failure(doing + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  }
  UniqueFd fd_;
  std::string path_;
};

/// What the controller says about a backup that broke off.
std::string recorded_error(ControllerClient& client) {
  const auto record = client.get("/backup");
  return record ? text_of(as_object(*record), "error") : "";
}

/// Copies the stream to `fd` and judges it as it comes.
Result<backup::Manifest> copy(ControllerClient& client, ByteStream& stream, int fd) {
  ProgressLine progress;
  std::optional<Error> own;
  std::uint64_t bytes = 0, shown = 0;
  const backup::Source source = [&](char* into, std::size_t size) -> flynn::Result<std::size_t> {
    auto got = stream.read(into, size);
    if (!got) {
      own = got.error();
      return flynn::Error{Code::unavailable, own->what};
    }
    if (auto written = write_all(fd, {into, *got}, flynn::Deadline::none()); !written) {
      own = failure("write the archive: " + written.error().message, "Is there room on that disk?");
      return written.error();
    }
    bytes += *got;
    if (bytes - shown >= kProgressBytes) {
      shown = bytes;
      progress.show("backup: " + std::to_string(bytes >> 20U) + " MB");
    }
    return *got;
  };
  auto manifest = backup::read_archive(source);
  if (manifest) return std::move(*manifest);
  progress.clear();
  if (own) return own->context("back up the cluster");
  const std::string said = recorded_error(client);
  Error error = failure("back up the cluster: " + manifest.error().message,
                        "Type it again. If it breaks off again: flynn doctor, and the log of the controller.")
                    .as(ErrorCode::kConnectionLost);
  error.kind = Failure::kRefused;
  return said.empty() ? error : error.saying({said});
}

json::object document_of(const backup::Manifest& manifest, const std::string& path) {
  return {{"file", path},
          {"bytes", manifest.bytes},
          {"members", manifest.members.size()},
          {"domain", text_of(manifest.document, "domain")},
          {"created_at", text_of(manifest.document, "created_at")},
          {"left_out", array_of(manifest.document, "left_out")}};
}

void tell(Session& session, const backup::Manifest& manifest, const std::string& path) {
  session.err() << "Backed up " << text_of(manifest.document, "domain") << (path.empty() ? "" : " to " + path) << " ("
                << manifest.members.size() << " members, " << manifest.bytes << " bytes; every digest is right).\n";
  for (const json::value& item : array_of(manifest.document, "left_out"))
    session.err() << "not in it: " << text_of(as_object(item), "what") << " (" << text_of(as_object(item), "instead")
                  << ")\n";
}

Result<int> back_up(Session& session, const Arguments& arguments) {
  std::string path = arguments.value("file");
  if (path == "-") path.clear();
  if (path.empty() && is_terminal(1))
    return usage_error("an archive is not for a terminal", "flynn cluster backup --file backup.tar");
  if (path.empty() && session.json())
    return usage_error("stdout can't have both the archive and a document", "Name a file with --file.");
  const auto client = session.controller();
  if (!client) return client.error();
  auto stream = (*client)->download(std::string("/backup?layers=") + (arguments.has("skip-stacks") ? "apps" : "true"),
                                    {{"Accept", "application/tar"}});
  if (!stream) return stream.error();
  session.shown();
  if (path.empty()) {
    const auto manifest = copy(**client, **stream, 1);
    if (!manifest) return manifest.error();
    tell(session, *manifest, path);
    return 0;
  }
  auto file = PartFile::open(path);
  if (!file) return file.error();
  const auto manifest = copy(**client, **stream, file->fd());
  if (!manifest) return manifest.error();
  if (auto kept = file->keep(); !kept) return kept.error();
  if (session.json())
    session.show(document_of(*manifest, path));
  else
    tell(session, *manifest, path);
  return 0;
}

}  // namespace

CommandList backup_commands() {
  return {{"cluster backup",
           "",
           "Write the state of the cluster and its layers to a tar archive, and verify it",
           {{'f', "file", "file", "instead of stdout; it appears when it is whole"},
            {0, "skip-stacks", "", "without the layers of the stacks: smaller, but only for a node that keeps them"}},
           0,
           0,
           back_up}};
}

}  // namespace flynn::cli
