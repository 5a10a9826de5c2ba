/// Reading a request's document and writing an answer's.
#pragma once

#include "api_error.h"
#include "document.h"
#include "wire.h"

namespace flynn::controller {

HttpResponse json_answer(const json::value& body);
/// What the wire's table calls {}: 200 and nothing.
HttpResponse empty_answer();
HttpResponse error_answer(const ApiError& error);
/// The request's JSON object; `syntax_error` or `validation_error` when it has none.
Outcome<json::object> body_of(const HttpRequest& request);

}  // namespace flynn::controller
