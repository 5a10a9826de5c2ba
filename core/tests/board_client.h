// BoardClient: one connection to the switchboard of the zoo.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

class BoardClient {
 public:
  explicit BoardClient(std::uint16_t port);
  /// The version that serves this connection now; "closed" when it was closed or reset.
  std::string who() { return ask('w'); }
  /// From now on its request is not over; ask() of 'e' ends it.
  void begin_request();
  std::string ask(char byte);

 private:
  UniqueFd fd_;
};

/// How many of them the version serves now.
int served_by(const std::string& version, std::vector<std::unique_ptr<BoardClient>>& clients);

}  // namespace flynn::core
