// The cookie that binds a client to one instance: `_backend=<16 hex digits>`, a hash of the instance's random id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flynn::router {

/// Zero when there is none or it is malformed: another backend is chosen then.
std::uint64_t read_sticky_cookie(std::string_view cookies);
std::string make_sticky_cookie(std::uint64_t hash);

}  // namespace flynn::router
