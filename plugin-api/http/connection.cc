#include "connection.h"

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/Timestamp.h>
#include <sys/socket.h>

#include <istream>

#include "flynn/sdk/stream.h"
#include "stream_pump.h"

namespace flynn::http {
namespace {

namespace net = Poco::Net;

Poco::Timespan timespan(std::chrono::milliseconds value) { return Poco::Timespan(value.count() * 1000); }

enum class Body { ok, too_big, broken };

Body read_body(net::HTTPServerRequestImpl& from, std::size_t limit, std::string& out) {
  std::istream& stream = from.stream();
  char chunk[16 * 1024];
  while (stream.good()) {
    stream.read(chunk, sizeof chunk);
    out.append(chunk, static_cast<std::size_t>(stream.gcount()));
    if (out.size() > limit) return Body::too_big;
  }
  bool cut = from.hasContentLength() && static_cast<Poco::Int64>(out.size()) < from.getContentLength64();
  return cut ? Body::broken : Body::ok;
}

HttpRequest request_of(const net::HTTPServerRequestImpl& from) {
  HttpRequest out;
  out.method = from.getMethod();
  out.accept = from.get("Accept", "");
  out.content_type = from.get("Content-Type", "");
  out.authorization = from.get("Authorization", "");
  out.upgrade = from.get("Upgrade", "");
  out.last_event_id = from.get("Last-Event-Id", "");
  out.origin = from.get("Origin", "");
  out.host = from.get("Host", "");
  return out;
}

void send(net::HTTPServerResponseImpl& to, const HttpResponse& response) {
  to.setStatusAndReason(static_cast<net::HTTPResponse::HTTPStatus>(response.status));
  if (!response.content_type.empty()) to.setContentType(response.content_type);
  for (const auto& [name, value] : response.headers) to.set(name, value);
  to.setDate(Poco::Timestamp());
  to.sendBuffer(response.body.data(), response.body.size());
}

}  // namespace

struct HttpConnection::Session : net::HTTPServerSession {
  Session(const net::StreamSocket& socket, net::HTTPServerParams::Ptr params_in)
      : net::HTTPServerSession(socket, params_in), params(params_in) {}
  bool has_buffered() const { return buffered() > 0; }
  net::HTTPServerParams::Ptr params;
};

HttpConnection::HttpConnection(std::unique_ptr<Session> session, int fd, const ListenerOptions& options)
    : session_(std::move(session)), fd_(fd), options_(options) {}

HttpConnection::~HttpConnection() = default;

std::unique_ptr<HttpConnection> HttpConnection::open(UniqueFd socket, const ListenerOptions& options) {
  try {
    net::HTTPServerParams::Ptr params(new net::HTTPServerParams);
    params->setTimeout(timespan(options.request_timeout));
    int fd = socket.get();
    net::StreamSocket stream(new net::StreamSocketImpl(fd));
    (void)socket.release();
    stream.setNoDelay(true);
    stream.setReceiveTimeout(timespan(options.request_timeout));
    stream.setSendTimeout(timespan(options.request_timeout));
    auto session = std::make_unique<Session>(stream, params);
    return std::unique_ptr<HttpConnection>(new HttpConnection(std::move(session), fd, options));
  } catch (const std::exception&) {
    return nullptr;  // the client went away between accept and now
  }
}

bool HttpConnection::serve(const HttpListener::Handle& handle, StreamPump& pump, const std::atomic<bool>& draining) {
  try {
    do {
      if (!serve_one(handle, pump, draining)) return false;
    } while (session_->has_buffered());
    return true;
  } catch (const std::exception&) {
    return false;  // reset, timed out, or closed by the client: there is nobody to tell
  }
}

bool HttpConnection::serve_one(const HttpListener::Handle& handle, StreamPump& pump,
                               const std::atomic<bool>& draining) {
  net::HTTPServerResponseImpl answer(*session_);
  HttpResponse response;
  bool keep = false;
  try {
    net::HTTPServerRequestImpl asked(answer, *session_, session_->params.get());
    answer.setVersion(asked.getVersion());
    HttpRequest request = request_of(asked);
    request.connection = fd_;
    if (asked.getExpectContinue()) answer.sendContinue();
    Body body = read_body(asked, options_.request_bytes_max, request.body);
    if (body == Body::broken) return false;
    if (body == Body::too_big) {
      response = {400,
                  "application/json",
                  R"({"code":"request_body_too_big","message":"the body is larger than )" +
                      std::to_string(options_.request_bytes_max) + R"( bytes","retry":false})",
                  {},
                  nullptr};
    } else if (!parse_target(asked.getURI(), request)) {
      response = {400,
                  "application/json",
                  R"({"code":"syntax_error","message":"the path has a broken escape","retry":false})",
                  {},
                  nullptr};
    } else {
      response = handle(request);
      keep = asked.getKeepAlive();
    }
  } catch (const net::NoMessageException&) {
    return false;  // an ordinary end of a kept connection
  } catch (const Poco::TimeoutException&) {
    return false;
  } catch (const net::MessageException& e) {
    response = {400,
                "application/json",
                R"({"code":"syntax_error","message":"not an HTTP request","retry":false})",
                {},
                nullptr};
  }
  if (response.stream != nullptr) {
    Poco::Buffer<char> early(0);
    session_->drainBuffer(early);  // a client may send frames right behind its request
    response.stream->from_client.assign(early.begin(), early.size());
    auto client = duplicate(fd_);
    if (client && pump.add(std::move(response.stream), *client)) return false;
    response = {503,
                "application/json",
                R"({"code":"service_unavailable","message":"too many open streams","retry":true})",
                {},
                nullptr};
  }
  keep = keep && !draining;
  answer.setKeepAlive(keep);
  send(answer, response);
  session_->setKeepAlive(keep);
  return keep;
}

}  // namespace flynn::http
