/// The HTTP server that serves the API, under the names that this plugin uses.
#pragma once

#include "http/listener.h"
#include "http/message.h"
#include "http/sse.h"
#include "http/stream_pump.h"

namespace flynn::controller {

using http::HttpListener;
using http::HttpRequest;
using http::HttpResponse;
using http::kSseType;
using http::ListenerOptions;
using http::parse_target;
using http::sse_data;
using http::sse_error;
using http::stream_head;
using http::StreamPump;
using http::StreamStart;

}  // namespace flynn::controller
