// The answers that the router itself gives.
#pragma once

#include <string>
#include <string_view>

namespace flynn::router {

struct ErrorPage {
  int status = 500;
  std::string_view reason;      // what was wrong, for a person
  std::string_view host;        // may be empty; escaped here
  std::string_view request_id;  // may be empty
  bool maintenance = false;     // closed on purpose: other advice, and a client that waits longer
  bool json = false;            // the client asked for application/json
  bool head_only = false;       // answer to HEAD
  bool keep_alive = false;
  int client_minor = 1;
};

/// A whole response. Allocates: errors are not the steady state.
std::string make_error_response(const ErrorPage& page);

/// "Not Found" for 404, and so on.
std::string_view status_text(int status);

/// True if an Accept header prefers JSON to a page for people.
bool accepts_json(std::string_view accept);

}  // namespace flynn::router
