/// Which events a client asked for, and how an event looks on a stream.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flynn::controller {

struct EventFilter {
  std::string app_id;  // empty: of every app
  std::vector<std::string> object_types;
  std::string object_id;

  bool matches(const boost::json::object& event) const;
};

std::vector<std::string> split_list(std::string_view text);

/// "data: {…}" and one empty line. The client ends an event at every blank line, so there is never a second one.
std::string sse_data(std::string_view compact_json);
std::string sse_error(std::string_view text);
inline constexpr std::string_view kSseKeepAlive = ":\n";
/// Head of a stream; its end is the end of the connection.
std::string stream_head(std::string_view content_type);

}  // namespace flynn::controller
