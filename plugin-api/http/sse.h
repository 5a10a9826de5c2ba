/// Server-sent events as Flynn's clients read them.
#pragma once

#include <string>
#include <string_view>

namespace flynn::http {

/// "data: {…}" and one empty line. The client ends an event at every blank line, so there is never a second one.
std::string sse_data(std::string_view compact_json);
std::string sse_error(std::string_view text);
/// Keeps a stream alive: a lone comment line without a blank line after it.
inline constexpr std::string_view kSseKeepAlive = ":\n";
inline constexpr std::string_view kSseType = "text/event-stream; charset=utf-8";
/// Head of a stream; its end is the end of the connection.
std::string stream_head(std::string_view content_type);

}  // namespace flynn::http
