/// What a key that may only read is shown in place of secrets: names stay, values go.
#pragma once

#include <boost/json/value.hpp>
#include <memory>

#include "wire.h"

namespace flynn::controller {

inline constexpr std::string_view kHidden = "[hidden]";

/// In place: every value of an "env" object at any depth, and the private key of every certificate.
void hide_secrets(boost::json::value& document);
/// The body when it is JSON, and every event of a stream of events.
void hide_secrets(HttpResponse& response);

}  // namespace flynn::controller
