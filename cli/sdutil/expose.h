// expose: runs a command while every service it needs has a leader.
#pragma once

#include <string>
#include <vector>

#include "discoverd_client.h"

namespace flynn::sdutil {

/// "[ENV:]service" of the command line; the variable is the service in capitals unless one is named.
struct Dependency {
  std::string variable, service;
  static Dependency parse(const std::string& text);
};

/// The exit status of the command once it has ended by itself, or because of a signal to us.
int expose(const DiscoverdClient& discoverd, const std::vector<Dependency>& needs,
           const std::vector<std::string>& words);

}  // namespace flynn::sdutil
