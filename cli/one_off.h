/// Jobs outside of any formation, attached to this process.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "attach.h"

namespace flynn::cli {

/// Sets tty, its size, COLUMNS, LINES and TERM in `job` when stdin and stdout are both terminals; true if so.
bool use_terminal(boost::json::object& job);

/// Runs `job` (a NewJob) for `app` and answers its exit status.
Result<int> run_one_off(ControllerClient& client, const std::string& app, const boost::json::object& job,
                        const AttachIo& io);

}  // namespace flynn::cli
