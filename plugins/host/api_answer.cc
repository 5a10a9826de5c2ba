#include "api_answer.h"

namespace flynn::host {

http::HttpResponse json_answer(const json::value& body, int status) {
  return {status, "application/json", json::serialize(body), {}, nullptr};
}

http::HttpResponse failure(int status, const char* code, const std::string& message, bool retry, json::value detail) {
  json::object body{{"code", code}, {"message", message}, {"retry", retry}};
  if (!detail.is_null()) body["detail"] = std::move(detail);
  return json_answer(body, status);
}

http::HttpResponse failure(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return failure(404, "object_not_found", error.message);
    case Code::already_exists:
      return failure(409, "object_exists", error.message);
    case Code::conflict:
    case Code::failed_precondition:
      return failure(409, "conflict", error.message);
    case Code::invalid_argument:
      return failure(400, "validation_error", error.message);
    case Code::unimplemented:
      return failure(501, "unimplemented", error.message);
    case Code::unavailable:
    case Code::resource_exhausted:
      return failure(503, "service_unavailable", error.message, true);
    case Code::deadline_exceeded:  // it may have happened
      return failure(503, "service_unavailable", error.message);
    default:
      return failure(500, "unknown_error", error.message);
  }
}

}  // namespace flynn::host
