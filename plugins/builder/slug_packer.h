// A folder as a content-addressed squashfs layer.
#pragma once

#include <cstdint>
#include <string>

#include "cancel.h"
#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"

namespace flynn::builder {

struct Slug {
  std::string id;  // hex SHA-512/256 of the file
  std::int64_t length = 0;
};

/// Packs `tree` into `file`: all times `time`, owner 5000, no extended attributes, so equal trees give equal bytes.
Result<Slug> pack_slug(const std::string& tree, const std::string& file, std::int64_t time, Deadline deadline);

}  // namespace flynn::builder
