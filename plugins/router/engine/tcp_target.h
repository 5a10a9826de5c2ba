// Where the connections of one TCP port go.
#pragma once

#include <string>

namespace flynn::router {

struct TcpTarget {
  std::string service;
  bool leader = false;  // only to the instance that leads the service
  // For the log.
  std::string route{}, app_id{};
  int port = 0;
  bool operator==(const TcpTarget&) const = default;
};

}  // namespace flynn::router
