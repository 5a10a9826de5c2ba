/// Errors as people and scripts read them: what failed and why, the failing process's own words, what to do, the code.
#pragma once

#include <boost/json/object.hpp>
#include <iosfwd>
#include <string_view>

#include "result.h"

namespace flynn::cli {

/// The exit code of the program for a kind of failure: 1 other, 2 usage, 3 not found, 4 key not accepted, 5
/// unreachable, 6 conflict, 7 timeout; 0 for kPlanned.
int exit_code(Failure kind);

/// Fills in what the error leaves open: its code from its words, and what to do next from its code.
Error completed(Error error);

void print_error(std::ostream& out, const Error& error);
/// {"error": {"code", "what", "why", "next", "exit_code"}}
boost::json::object error_document(const Error& error);

/// The page of docs/errors about `code`, built into the program; empty for an unknown one.
std::string_view error_page(std::string_view code);

}  // namespace flynn::cli
