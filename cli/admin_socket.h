/// The operator's socket of flynn-host: one request, progress lines, one answer.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "result.h"

namespace flynn::cli {

/// $FLYNN_ADMIN_SOCKET, else /run/flynn/admin.sock
std::string admin_socket_path();

using Progress = std::function<void(const boost::json::object&)>;

/// The `result` member of the answer.
Result<boost::json::value> admin_request(const std::string& path, const std::string& method,
                                         const boost::json::object& params, const Progress& progress = {});

}  // namespace flynn::cli
