// IncomingLayer: the body of an upload, in a file without a name that goes with it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"
#include "hex_digest.h"
#include "http/message.h"

namespace flynn::images {

/// A file in `folder` that no crash leaves behind: it never has a name.
Result<UniqueFd> nameless_file(const std::string& folder);

/// Thread: one at a time; made on one, may end on another.
class IncomingLayer : public http::BodySink {
 public:
  /// `at_end` runs when it goes, however the upload ended.
  static Result<std::shared_ptr<IncomingLayer>> open(const std::string& folder, std::int64_t bytes_max,
                                                     std::function<void()> at_end);
  ~IncomingLayer() override;

  bool take(std::string_view piece) override;
  /// After the body: the file at its beginning, when its SHA-256 is `sha256`. invalid_argument: it is not, or the body
  /// was larger than allowed; resource_exhausted: the disk is full.
  Result<UniqueFd> finish(const std::string& sha256);

 private:
  IncomingLayer(UniqueFd file, std::int64_t bytes_max, std::function<void()> at_end)
      : file_(std::move(file)), bytes_max_(bytes_max), at_end_(std::move(at_end)) {}

  UniqueFd file_;
  const std::int64_t bytes_max_;
  std::function<void()> at_end_;
  std::int64_t bytes_ = 0;
  Result<void> state_;
  HexDigest digest_{EVP_sha256()};
};

}  // namespace flynn::images
