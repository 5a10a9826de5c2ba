// Random identifiers.
#pragma once

#include <string>
#include <string_view>

namespace flynn {

/// Version 4, lower case with dashes, from the kernel's random source.
std::string new_uuid();
/// `bytes` random bytes as lower-case hex, from the kernel's random source; fit for secrets.
std::string random_hex(unsigned bytes);
bool is_uuid(std::string_view text);

}  // namespace flynn
