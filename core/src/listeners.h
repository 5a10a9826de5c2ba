// Listeners: the node's listening sockets. The keeper opens them, the host process inherits them and lends duplicates.
#pragma once

#include <map>
#include <string>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// Thread: lend [any]; the rest [startup].
class Listeners {
 public:
  /// Binds "ADDRESS:PORT" each. An address in use names who holds it where the kernel tells.
  static Result<Listeners> open(const std::map<std::string, std::string>& addresses);
  /// From the environment that the keeper made: "name=fd,name=fd".
  static Result<Listeners> inherit(const std::string& text);

  /// A duplicate; not_found when there is no such socket.
  Result<UniqueFd> lend(const std::string& name) const;
  /// For the child's environment. The descriptors keep their numbers.
  std::string environment_text() const;
  /// Lets exec'ed programs inherit them; only in the child, between fork and exec.
  void keep_over_exec() const;

 private:
  std::map<std::string, UniqueFd> sockets_;
};

inline constexpr const char* kListenersVariable = "FLYNN_LISTENERS";

}  // namespace flynn::core
