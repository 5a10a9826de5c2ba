/// Tar archives of an exported app: small documents, and one database dump that may be large.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "flynn/sdk/unique_fd.h"
#include "result.h"

struct archive;

namespace flynn::cli {

/// Writes members to a descriptor that outlives it. `finish` must be called; without it the archive is cut short.
class ArchiveWriter {
 public:
  static Result<ArchiveWriter> open(int fd);

  Status add(const std::string& name, std::string_view text);
  /// The whole content of `fd`, from its beginning.
  Status add_file(const std::string& name, int fd);
  Status finish();

 private:
  struct Free {
    void operator()(archive* handle) const;
  };
  explicit ArchiveWriter(archive* handle) : archive_(handle) {}
  Status begin(const std::string& name, long long size);
  Status write(const char* bytes, std::size_t size);
  std::unique_ptr<archive, Free> archive_;
};

struct ExportedApp {
  std::map<std::string, std::string> documents;  // "app.json", without the folder
  UniqueFd dump;                                 // at its beginning; invalid when the archive has none
};

inline constexpr std::size_t kDocumentBytesMax = 16U << 20U;

/// Reads a tar, compressed or not. Members but documents and postgres.dump are stepped over; a document above
/// kDocumentBytesMax is an error.
Result<ExportedApp> read_archive(int fd);

/// A nameless temporary file.
Result<UniqueFd> temporary_file();

}  // namespace flynn::cli
