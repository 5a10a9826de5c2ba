// BlobHttp: the blobs by HTTP.
#pragma once

#include <memory>

#include "blob_files.h"
#include "flynn/sdk/clock.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::blobstore {

struct BlobHttpOptions {
  int threads_max = 8;
  bool read_only = false;
};

/// GET, HEAD, PUT, DELETE /<name> on a lent socket, on threads of its own. Borrows `files`. A PUT needs a
/// Content-Length: without one a broken upload can't be told from a complete one. Thread: [control].
class BlobHttp {
 public:
  BlobHttp(const BlobFiles& files, BlobHttpOptions options);
  ~BlobHttp();

  void start(UniqueFd listener);
  /// No new connection is taken after it; requests in flight go on. Returns at once.
  void stop_accepting();
  /// Until no request is in flight, or the deadline.
  void drain(Deadline deadline);
  /// Breaks off what is left and joins every thread.
  void stop();

 private:
  struct Server;
  const BlobFiles& files_;
  BlobHttpOptions options_;
  std::unique_ptr<Server> server_;
};

}  // namespace flynn::blobstore
