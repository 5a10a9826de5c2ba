#include "sse.h"

#include <algorithm>

namespace flynn::http {

std::string sse_data(std::string_view compact_json) { return "data: " + std::string(compact_json) + "\n\n"; }

std::string sse_error(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return "event: error\ndata: " + line + "\n\n";
}

std::string stream_head(std::string_view content_type) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(content_type) +
         "\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n";
}

}  // namespace flynn::http
