/// What a command answers: a value, or an Error that says what failed, why, and what to do next.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace flynn::cli {

enum class Failure { kOther, kUsage, kNotFound, kUnauthorized, kRefused, kConflict, kTimeout };

struct Error {
  std::string what;  // "what failed: why"
  std::string next;  // what to do about it; may be empty
  Failure kind = Failure::kOther;

  [[nodiscard]] Error context(std::string_view doing) const { return {std::string(doing) + ": " + what, next, kind}; }
  [[nodiscard]] Error advise(std::string text) const { return {what, std::move(text), kind}; }
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

inline Error failure(std::string what, std::string next = {}) { return {std::move(what), std::move(next), {}}; }
inline Error usage_error(std::string what, std::string next = {}) {
  return {std::move(what), std::move(next), Failure::kUsage};
}

}  // namespace flynn::cli
