// Which names from outside may become part of a path, a link name or a hostname. Everything else is refused early.
#pragma once

#include <string>
#include <string_view>

namespace flynn::host {

/// 1–64 of [A-Za-z0-9._-], beginning with a letter or digit: job ids, app ids and volume names.
bool is_safe_name(std::string_view name);
/// 64 lower-case hex digits.
bool is_layer_id(std::string_view id);
/// An absolute path of at most 1,024 bytes without "." or ".." segments, control characters or a trailing slash; "/"
/// itself is refused.
bool is_safe_absolute_path(std::string_view path);
/// A service name of flynn.discovery/1.
bool is_service_name(std::string_view name);
/// The name of the job's end of the veth pair on the host's side: "fv" and 12 hex digits of a digest, at most 15 bytes
/// (IFNAMSIZ - 1).
std::string veth_name(std::string_view bridge, std::string_view job_id);

}  // namespace flynn::host
