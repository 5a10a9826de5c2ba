/// Which events a client asked for, and how an event looks on a stream.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire.h"

namespace flynn::controller {

struct EventFilter {
  std::string app_id;  // empty: of every app
  std::vector<std::string> object_types;
  std::string object_id;

  bool passes_all() const { return app_id.empty() && object_types.empty() && object_id.empty(); }
  bool matches(const boost::json::object& event) const;
};

std::vector<std::string> split_list(std::string_view text);

}  // namespace flynn::controller
