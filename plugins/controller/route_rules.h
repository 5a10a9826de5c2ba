/// What a route may be, decided from the routes there are. Pure.
#pragma once

#include <vector>

#include "api_error.h"
#include "document.h"

namespace flynn::controller {

/// What a refusal may tell of a route, which may be another app's: where it is, not whose, nor its certificate.
json::object place_of(const json::object& route);
/// "/": the default route; otherwise begins and ends with "/".
std::string normal_path(const std::string& path);
/// May `route` (complete) be added beside `others`?
Verdict check_http_route(const json::object& route, const std::vector<json::object>& others);
/// May it be removed?
Verdict check_http_removal(const json::object& route, const std::vector<json::object>& others);
/// The ports that the node keeps for TCP routes, both ends among them.
struct PortRange {
  std::int64_t first, last;
};
/// Fills in port 0 with the first free one of `range`; `conflict` for reserved and taken ports.
Verdict choose_tcp_port(json::object& route, const std::vector<json::object>& others, const PortRange& range);
/// The place of `route` (a domain and path, or a port) is another one's.
ApiError duplicate_route(const json::object& route);
/// The certificate of a route from `tls_cert`/`tls_key` or `certificate`; null when neither is given.
Outcome<json::value> certificate_of(const json::object& asked, const std::string& route_id);

}  // namespace flynn::controller
