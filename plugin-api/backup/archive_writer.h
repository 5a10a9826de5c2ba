/// ArchiveWriter: writes the archive of a cluster as a stream, with bounded memory.
#pragma once

#include <functional>
#include <memory>

#include "archive_format.h"
#include "flynn/sdk/result.h"

struct archive;

namespace flynn::backup {

/// After an error nothing more can be written. Thread: one at a time.
class ArchiveWriter {
 public:
  /// Takes all of `bytes` or fails.
  using Sink = std::function<Result<void>(std::string_view bytes)>;

  static Result<std::unique_ptr<ArchiveWriter>> open(Sink sink);
  /// Without finish() the archive has no manifest, and no reader takes it.
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  /// The whole of a regular file from its beginning; the position of `fd` does not move.
  Result<void> add_file(const std::string& name, int fd);
  /// Adds `members` and `format` to `document`, writes it as flynn.json, and ends the archive.
  Result<void> finish(json::object document);

  /// Of all that the sink has taken; the digest is known after finish().
  std::uint64_t bytes_written() const { return bytes_; }
  const std::string& sha512() const { return sha512_; }

 private:
  struct Stream;
  ArchiveWriter();
  Result<void> begin(const std::string& name, std::uint64_t size);
  Result<void> write(std::string_view bytes);
  Error failed(std::string_view doing) const;

  std::unique_ptr<Stream> stream_;
  std::vector<Member> members_;
  std::uint64_t bytes_ = 0;
  std::string sha512_;
};

}  // namespace flynn::backup
