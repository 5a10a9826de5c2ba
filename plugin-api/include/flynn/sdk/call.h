// Call and Reply: the C++ side of one passage through the door.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn {

/// A call as the provider sees it. `fds` are duplicates that this object owns: take what you keep.
struct Call {
  std::string_view interface;  // borrowed for the call
  std::string_view method;
  std::string_view caller;
  std::string_view request_id;
  json::object body;
  std::vector<UniqueFd> fds;
  Deadline deadline;
};

/// An answer: a document, and descriptors that the receiver will own.
struct Reply {
  json::object body;
  std::vector<UniqueFd> fds;

  Reply() = default;
  Reply(json::object document) : body(std::move(document)) {}
  Reply(json::object document, UniqueFd fd) : body(std::move(document)) { fds.push_back(std::move(fd)); }
};

}  // namespace flynn
