/// What a command answers: a value, or an Error that says what failed, why, what to do next, and a code to look up.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "error_code.h"

namespace flynn::cli {

/// What a script may want to tell apart; each has an exit code of its own (exit_code).
enum class Failure {
  kOther,
  kUsage,
  kNotFound,
  kUnauthorized,
  kRefused,
  kConflict,
  kTimeout,
  kPlanned  // no failure: --plan has shown what would happen
};

struct Error {
  std::string what;  // "what failed: why"
  std::string next;  // what to do about it; may be empty
  Failure kind = Failure::kOther;
  ErrorCode code = ErrorCode::kUnknown;  // kUnknown: found from the words and the kind when it is shown
  std::vector<std::string> words = {};   // the failing process's own last lines, oldest first

  [[nodiscard]] Error context(std::string_view doing) const {
    Error error = *this;
    error.what = std::string(doing) + ": " + what;
    return error;
  }
  [[nodiscard]] Error advise(std::string text) const {
    Error error = *this;
    error.next = std::move(text);
    return error;
  }
  [[nodiscard]] Error as(ErrorCode of) const {
    Error error = *this;
    error.code = of;
    return error;
  }
  [[nodiscard]] Error saying(std::vector<std::string> lines) const {
    Error error = *this;
    error.words = std::move(lines);
    return error;
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

struct Done {};
using Status = Result<Done>;

inline Error failure(std::string what, std::string next = {}) { return {std::move(what), std::move(next)}; }
inline Error usage_error(std::string what, std::string next = {}) {
  return {std::move(what), std::move(next), Failure::kUsage};
}

}  // namespace flynn::cli
