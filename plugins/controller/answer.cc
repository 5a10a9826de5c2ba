#include "answer.h"

namespace flynn::controller {

HttpResponse json_answer(const json::value& body) {
  return {200, "application/json; charset=utf-8", json::serialize(body), {}, nullptr};
}

HttpResponse empty_answer() { return {200, "", "", {}, nullptr}; }

HttpResponse error_answer(const ApiError& error) {
  // Clients take any other 404 for a broken one, and a 401 with a document for an answer.
  if (error.status == 404) return {404, "text/plain", "", {}, nullptr};
  if (error.status == 401) return {401, "", "", {}, nullptr};
  json::object body{{"code", error.code}, {"message", error.message}, {"retry", error.retry}};
  if (!error.detail.is_null()) body["detail"] = error.detail;
  HttpResponse response = json_answer(body);
  response.status = error.status;
  return response;
}

Outcome<json::object> body_of(const HttpRequest& request) {
  if (request.content_type.find("application/json") == std::string::npos) {
    return validation("", "the request's Content-Type must be application/json");
  }
  auto document = parse_json(request.body);
  if (!document) return syntax_error("the body is not JSON: " + document.error().message);
  if (document->is_null()) return json::object{};
  if (!document->is_object()) return syntax_error("the body must be a JSON object");
  return std::move(document->get_object());
}

}  // namespace flynn::controller
