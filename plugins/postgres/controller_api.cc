#include "controller_api.h"

namespace flynn::postgres {
namespace {

Code code_of_status(std::int64_t status) {
  switch (status) {
    case 404:
      return Code::not_found;
    case 409:
      return Code::already_exists;
    case 400:
      return Code::invalid_argument;
    case 503:
      return Code::unavailable;
    default:
      return Code::internal;
  }
}

}  // namespace

Result<json::value> ControllerApi::request(std::string_view method, std::string_view path, json::value body,
                                           Deadline deadline) {
  json::object document{{"method", method}, {"path", path}};
  if (!body.is_null()) document["body"] = std::move(body);
  auto reply = door_.call("flynn.controller/1", "Request", document, deadline, {});
  const std::string doing = std::string(method) + " " + std::string(path);
  if (!reply) return reply.error().context(doing);
  const auto status = int_or(reply->body, "status");
  auto* answer = reply->body.if_contains("body");
  if (status != 200) {
    const auto* error = answer == nullptr ? nullptr : answer->if_object();
    return Error{code_of_status(status), doing + ": the controller answers " + std::to_string(status) +
                                             (error == nullptr ? "" : " " + string_or(*error, "message"))};
  }
  return answer == nullptr ? json::value() : std::move(*answer);
}

Result<json::object> ControllerApi::object_of(Result<json::value> answer, std::string_view path) {
  if (!answer) return answer.error();
  if (!answer->is_object()) return Error{Code::internal, std::string(path) + ": the controller's answer is no object"};
  return std::move(answer->as_object());
}

Result<json::object> ControllerApi::get(std::string_view path, Deadline deadline) {
  return object_of(request("GET", path, nullptr, deadline), path);
}

Result<json::object> ControllerApi::post(std::string_view path, json::object body, Deadline deadline) {
  return object_of(request("POST", path, std::move(body), deadline), path);
}

Result<json::object> ControllerApi::put(std::string_view path, json::object body, Deadline deadline) {
  return object_of(request("PUT", path, std::move(body), deadline), path);
}

}  // namespace flynn::postgres
