/// What the API answers when it does not answer what was asked, and Outcome<T>, which carries either.
///
/// The wire's rules (a 404 without a body, `retry` only where repeating is safe) are kept here and nowhere else.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace flynn::controller {

struct ApiError {
  int status = 500;
  std::string code;
  std::string message;
  boost::json::value detail;
  /// The client repeats the request every 100 ms for 10 s when this is set: never for a POST that may have happened.
  bool retry = false;
};

/// Clients branch on a 404 that is not JSON, so this is answered with an empty body; `what` is for our own logs.
ApiError not_found(std::string what);
ApiError validation(std::string field, std::string text);
ApiError object_exists(std::string message);
ApiError conflict(std::string message, boost::json::value detail = nullptr);
ApiError syntax_error(std::string message);
ApiError unknown_error(std::string message, bool retry = false);
ApiError service_unavailable(std::string message);
ApiError unauthorized();

template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT: meant to be implicit
  Outcome(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const ApiError& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, ApiError> state_;
};

/// Success, or why not.
using Verdict = std::optional<ApiError>;

}  // namespace flynn::controller
