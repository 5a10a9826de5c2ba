#include "incoming_layer.h"

#include <fcntl.h>

#include <cerrno>

namespace flynn::images {

Result<UniqueFd> nameless_file(const std::string& folder) {
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "make a file in " + folder);
  return file;
}

Result<std::shared_ptr<IncomingLayer>> IncomingLayer::open(const std::string& folder, std::int64_t bytes_max,
                                                           std::function<void()> at_end) {
  auto file = nameless_file(folder);
  if (!file) return file.error();
  return std::shared_ptr<IncomingLayer>(new IncomingLayer(std::move(*file), bytes_max, std::move(at_end)));
}

IncomingLayer::~IncomingLayer() {
  file_.reset();
  at_end_();
}

bool IncomingLayer::take(std::string_view piece) {
  bytes_ += static_cast<std::int64_t>(piece.size());
  if (bytes_ > bytes_max_) {
    state_ = Error{Code::invalid_argument, "the layer is larger than " + std::to_string(bytes_max_) +
                                               " bytes (layer_bytes_max of the plugin images)"};
    return false;
  }
  digest_.add(piece);
  while (!piece.empty()) {
    const ssize_t written = ::write(file_.get(), piece.data(), piece.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      state_ = errno_error(errno, "keep the layer");
      return false;
    }
    piece.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

Result<UniqueFd> IncomingLayer::finish(const std::string& sha256) {
  if (!state_) return state_.error();
  if (const std::string is = digest_.end(); is != sha256)
    return Error{Code::invalid_argument, "the body's SHA-256 is " + is + ", not the id " + sha256};
  if (::lseek(file_.get(), 0, SEEK_SET) != 0) return errno_error(errno, "read the layer again");
  return std::move(file_);
}

}  // namespace flynn::images
