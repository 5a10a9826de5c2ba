/// The log's messages as the wire shows them: one JSON object a line, or server-sent events. Pure.
#pragma once

#include <string>
#include <string_view>

#include "document.h"

namespace flynn::controller {

enum class LogFormat { lines, events };

/// Cuts a stream of NDJSON into lines and turns each into what the client reads.
class LogLines {
 public:
  explicit LogLines(LogFormat format) : format_(format) {}
  void feed(std::string_view chunk, std::string& out);
  void finish(std::string& out);

 private:
  void line(std::string_view text, std::string& out);

  const LogFormat format_;
  std::string partial_;
};

json::object log_message(const json::object& message);

}  // namespace flynn::controller
