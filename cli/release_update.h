/// `flynn release update`: a release changed by a file.
#pragma once

#include <boost/json/object.hpp>

namespace flynn::cli {

/// Merges `changes` into `release`: env and meta by key (null removes one), processes by type and member, the env of a
/// process again by key; other members of a process are replaced. With `clean` env, meta and processes are taken as
/// `changes` has them.
boost::json::object update_release(boost::json::object release, const boost::json::object& changes, bool clean);

}  // namespace flynn::cli
