// Result<T>: a value or an Error whose code says what the caller should do. Meaning of std::expected, for C++20.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "flynn/plugin.h"

namespace flynn {

/// The closed list of flynn/plugin.h, one to one.
enum class Code : std::int32_t {
  ok = FLYNN_OK,
  invalid_argument = FLYNN_E_INVALID_ARGUMENT,
  not_found = FLYNN_E_NOT_FOUND,
  already_exists = FLYNN_E_ALREADY_EXISTS,
  conflict = FLYNN_E_CONFLICT,
  permission_denied = FLYNN_E_PERMISSION_DENIED,
  unavailable = FLYNN_E_UNAVAILABLE,
  deadline_exceeded = FLYNN_E_DEADLINE_EXCEEDED,
  resource_exhausted = FLYNN_E_RESOURCE_EXHAUSTED,
  unimplemented = FLYNN_E_UNIMPLEMENTED,
  failed_precondition = FLYNN_E_FAILED_PRECONDITION,
  cancelled = FLYNN_E_CANCELLED,
  internal = FLYNN_E_INTERNAL,
  out_of_range = FLYNN_E_OUT_OF_RANGE,
  restart_required = FLYNN_E_RESTART_REQUIRED,
};

/// "not_found" for Code::not_found; an unknown number is "internal".
std::string_view code_name(Code code);
/// The reverse; an unknown name is Code::internal.
Code code_from_name(std::string_view name);
/// An unknown number from across the ABI becomes Code::internal (R7).
Code code_from_status(flynn_status status);

/// What failed and why. The callee says what went wrong; each caller adds what it was doing with context().
struct Error {
  Code code = Code::internal;
  std::string message;

  /// "place job web.1: renew lease a: stale token": puts `doing` before the message.
  [[nodiscard]] Error context(std::string_view doing) const { return Error{code, std::string(doing) + ": " + message}; }
};

/// Error of the code that fits `errno_value`, with the system's words: "open /x: No such file or directory".
Error errno_error(int errno_value, std::string_view doing);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }
  T value_or(T fallback) const { return ok() ? value() : std::move(fallback); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace flynn
