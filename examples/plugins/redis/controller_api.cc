#include "controller_api.h"

namespace redis_appliance {
namespace {

flynn::Code code_of(std::int64_t status) {
  if (status == 404) return flynn::Code::not_found;
  if (status == 409) return flynn::Code::already_exists;
  if (status == 503) return flynn::Code::unavailable;
  return status < 500 ? flynn::Code::invalid_argument : flynn::Code::internal;
}

}  // namespace

flynn::Result<flynn::json::value> ask_controller(flynn::Door& door, std::string_view method, const std::string& path,
                                                 const flynn::json::value& body, flynn::Deadline deadline) {
  flynn::json::object ask{{"method", std::string(method)}, {"path", path}};
  if (!body.is_null()) ask["body"] = body;
  auto reply = door.call("flynn.controller/1", "Request", ask, deadline, {});
  if (!reply) return reply.error();
  const auto status = flynn::int_or(reply->body, "status");
  const auto* answer = reply->body.if_contains("body");
  if (status == 200) return answer == nullptr ? flynn::json::value() : *answer;
  const auto words = answer != nullptr && answer->is_object() ? flynn::string_or(answer->get_object(), "message") : "";
  return flynn::Error{code_of(status), std::string(method) + " " + path + ": status " + std::to_string(status) +
                                           (words.empty() ? "" : ": " + words)};
}

}  // namespace redis_appliance
