#include "api_error.h"

#include <boost/json.hpp>

namespace flynn::controller {

ApiError not_found(std::string what) { return {404, "not_found", std::move(what), nullptr, false}; }

ApiError validation(std::string field, std::string text) {
  std::string message = field.empty() ? text : field + " " + text;
  boost::json::value detail = nullptr;
  if (!field.empty()) detail = boost::json::object{{"field", field}};
  return {400, "validation_error", std::move(message), std::move(detail), false};
}

ApiError object_exists(std::string message) { return {409, "object_exists", std::move(message), nullptr, false}; }

ApiError conflict(std::string message, boost::json::value detail) {
  return {409, "conflict", std::move(message), std::move(detail), false};
}

ApiError syntax_error(std::string message) { return {400, "syntax_error", std::move(message), nullptr, false}; }

ApiError unknown_error(std::string message, bool retry) {
  return {500, "unknown_error", "Something went wrong: " + message, nullptr, retry};
}

ApiError service_unavailable(std::string message) {
  return {503, "service_unavailable", std::move(message), nullptr, true};
}

ApiError unauthorized() { return {401, "unauthorized", "", nullptr, false}; }

}  // namespace flynn::controller
