/// The access log: one line for each use of a key, in files that only grow, each line holding the digest of the one
/// before. A line that was changed or taken away shows; the oldest file goes when there are too many.
///
/// Lines are not synced to disk one by one: a power failure may take the last ones, and the chain goes on.
/// Thread: [any]; two versions of the controller may write at once during a swap.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "access_keys.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::controller {

struct AccessAuditOptions {
  std::string folder;  // made when it is not there
  std::uint64_t file_bytes = 16 << 20;
  std::size_t files = 4;
};

/// One use of a key. `path` may be any bytes; what is no printable ASCII becomes "?".
boost::json::object access_line(const Identity& who, std::string_view method, std::string_view path, int status);

class AccessAudit {
 public:
  explicit AccessAudit(AccessAuditOptions options) : options_(std::move(options)) {}

  /// Adds `at` and `prev` to the line. Fails as the file system does.
  Result<void> append(boost::json::object line);
  /// The newest first, at most `count`; of one key when `key` is not empty.
  Result<boost::json::array> newest(std::size_t count, const std::string& key);
  /// How many lines were checked, or where the chain is broken.
  Result<std::uint64_t> verify();

 private:
  Result<void> open_lock();
  Result<void> open_newest();
  Result<void> next_file();
  std::vector<std::string> files() const;
  std::string path_of(std::uint64_t number) const;
  Result<std::string> newest_digest(std::uint64_t size) const;
  Result<std::string> last_digest(int fd, std::uint64_t size) const;

  const AccessAuditOptions options_;
  std::mutex mutex_;
  UniqueFd lock_;  // of the folder: held for one line, over the change to the next file too
  UniqueFd file_;
  std::uint64_t number_ = 0, size_ = 0;  // of the file that is written
  std::string last_;                     // digest of the last line; empty: none yet
};

}  // namespace flynn::controller
