#include "flynn/sdk/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace flynn {
namespace {

struct NamedCode {
  Code code;
  std::string_view name;
};

constexpr std::array kCodes{
    NamedCode{Code::ok, "ok"},
    NamedCode{Code::invalid_argument, "invalid_argument"},
    NamedCode{Code::not_found, "not_found"},
    NamedCode{Code::already_exists, "already_exists"},
    NamedCode{Code::conflict, "conflict"},
    NamedCode{Code::permission_denied, "permission_denied"},
    NamedCode{Code::unavailable, "unavailable"},
    NamedCode{Code::deadline_exceeded, "deadline_exceeded"},
    NamedCode{Code::resource_exhausted, "resource_exhausted"},
    NamedCode{Code::unimplemented, "unimplemented"},
    NamedCode{Code::failed_precondition, "failed_precondition"},
    NamedCode{Code::cancelled, "cancelled"},
    NamedCode{Code::internal, "internal"},
    NamedCode{Code::out_of_range, "out_of_range"},
    NamedCode{Code::restart_required, "restart_required"},
};

Code code_of_errno(int value) {
  switch (value) {
    case ENOENT:
    case ESRCH:
      return Code::not_found;
    case EEXIST:
      return Code::already_exists;
    case EACCES:
    case EPERM:
      return Code::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Code::resource_exhausted;
    case EAGAIN:
    case EBUSY:
    case ECONNREFUSED:
    case EADDRINUSE:
      return Code::unavailable;
    case ETIMEDOUT:
      return Code::deadline_exceeded;
    case EINVAL:
    case ENAMETOOLONG:
      return Code::invalid_argument;
    case EPIPE:
    case ECONNRESET:
      return Code::cancelled;
    default:
      return Code::internal;
  }
}

}  // namespace

std::string_view code_name(Code code) {
  for (const auto& entry : kCodes)
    if (entry.code == code) return entry.name;
  return "internal";
}

Code code_from_name(std::string_view name) {
  for (const auto& entry : kCodes)
    if (entry.name == name) return entry.code;
  return Code::internal;
}

Code code_from_status(flynn_status status) {
  for (const auto& entry : kCodes)
    if (static_cast<flynn_status>(entry.code) == status) return entry.code;
  return Code::internal;
}

Error errno_error(int errno_value, std::string_view doing) {
  std::array<char, 128> text{};
  const char* words = ::strerror_r(errno_value, text.data(), text.size());
  return Error{code_of_errno(errno_value), std::string(doing) + ": " + words};
}

}  // namespace flynn
