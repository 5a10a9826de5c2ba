// The runtime API: commands to an HAProxy that runs, on its stats socket. Source: HAProxy's management guide, 9.3.
#pragma once

#include <flynn/sdk/result.h>

#include <map>
#include <string>
#include <vector>

namespace haproxy_router {

/// What HAProxy says to one command. unavailable: nobody listens there.
flynn::Result<std::string> ask(const std::string& socket, const std::string& command);

/// The commands that lead from one state to the other.
std::vector<std::string> changes(const std::map<std::string, std::string>& map_before,
                                 const std::map<std::string, std::string>& map_after,
                                 const std::map<std::string, std::string>& servers_before,
                                 const std::map<std::string, std::string>& servers_after, const std::string& map_file);

}  // namespace haproxy_router
