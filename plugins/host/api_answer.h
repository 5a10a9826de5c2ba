// Answers of the host's HTTP API in the shapes that Flynn's clients tell apart.
#pragma once

#include <string>

#include "flynn/sdk/json.h"
#include "http/message.h"

namespace flynn::host {

http::HttpResponse json_answer(const json::value& body, int status = 200);
/// {code, message, retry}; `detail` when it is not null.
http::HttpResponse failure(int status, const char* code, const std::string& message, bool retry = false,
                           json::value detail = nullptr);
http::HttpResponse failure(const Error& error);

}  // namespace flynn::host
