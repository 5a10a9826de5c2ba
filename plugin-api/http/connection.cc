#include "connection.h"

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/Timestamp.h>
#include <poll.h>
#include <sys/socket.h>

#include <istream>
#include <optional>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/stream.h"
#include "stream_pump.h"

namespace flynn::http {
namespace {

namespace net = Poco::Net;

Poco::Timespan timespan(std::chrono::milliseconds value) { return Poco::Timespan(value.count() * 1000); }

// A refused client may be in the middle of a long body: closing at once would reset the connection under the answer.
constexpr std::chrono::milliseconds kLingerTime{2000};

enum class Body { ok, too_big, unwanted, broken };

Body read_body(net::HTTPServerRequestImpl& from, std::size_t limit, HttpRequest& to) {
  std::istream& stream = from.stream();
  std::vector<char> chunk(to.sink != nullptr ? 256 * 1024 : 16 * 1024);
  std::int64_t count = 0;
  while (stream.good()) {
    stream.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const std::string_view piece(chunk.data(), static_cast<std::size_t>(stream.gcount()));
    count += stream.gcount();
    if (to.sink != nullptr) {
      if (!piece.empty() && !to.sink->take(piece)) return Body::unwanted;
      continue;
    }
    to.body += piece;
    if (to.body.size() > limit) return Body::too_big;
  }
  return from.hasContentLength() && count < from.getContentLength64() ? Body::broken : Body::ok;
}

/// Says that no more comes, and reads what the client still sends, for a moment.
void linger(int fd) {
  ::shutdown(fd, SHUT_WR);
  const Deadline deadline = Deadline::after(kLingerTime);
  std::vector<char> dropped(64 * 1024);
  while (!deadline.passed()) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, deadline.left_ms()) <= 0) return;
    if (::recv(fd, dropped.data(), dropped.size(), MSG_DONTWAIT) <= 0) return;
  }
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
  if (from.hasContentLength()) out.content_length = from.getContentLength64();
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
      if (serve_one(handle, pump, draining)) continue;
      if (unread_) linger(fd_);  // here, because the answer's destructor sends it
      return false;
    } while (session_->has_buffered());
    return true;
  } catch (const std::exception&) {
    return false;  // reset, timed out, or closed by the client: there is nobody to tell
  }
}

bool HttpConnection::serve_one(const HttpListener::Handle& handle, StreamPump& pump,
                               const std::atomic<bool>& draining) {
  net::HTTPServerResponseImpl answer(*session_);
  std::optional<net::HTTPServerRequestImpl> kept;  // `answer` asks it for its method when it is sent
  HttpResponse response;
  bool keep = false;
  try {
    net::HTTPServerRequestImpl& asked = kept.emplace(answer, *session_, session_->params.get());
    answer.setVersion(asked.getVersion());
    HttpRequest request = request_of(asked);
    request.connection = fd_;
    const bool readable = parse_target(asked.getURI(), request);
    std::optional<HttpResponse> refused;
    if (readable && options_.before_body) refused = options_.before_body(request);
    Body body = Body::unwanted;
    if (!refused) {
      if (asked.getExpectContinue()) answer.sendContinue();
      body = read_body(asked, options_.request_bytes_max, request);
    }
    unread_ = body == Body::unwanted && (request.content_length > 0 || asked.getChunkedTransferEncoding());
    if (body == Body::broken) return false;
    if (refused) {
      response = std::move(*refused);
      keep = !unread_ && asked.getKeepAlive();
    } else if (body == Body::too_big) {
      response = {400,
                  "application/json",
                  R"({"code":"request_body_too_big","message":"the body is larger than )" +
                      std::to_string(options_.request_bytes_max) + R"( bytes","retry":false})",
                  {},
                  nullptr};
    } else if (!readable) {
      response = {400,
                  "application/json",
                  R"({"code":"syntax_error","message":"the path has a broken escape","retry":false})",
                  {},
                  nullptr};
    } else {
      response = handle(request);
      keep = !unread_ && asked.getKeepAlive();
    }
  } catch (const net::NoMessageException&) {
    return false;  // an ordinary end of a kept connection
  } catch (const Poco::TimeoutException&) {
    return false;
  } catch (const net::MessageException&) {
    net::HTTPServerResponseImpl unattached(*session_);  // there is no request that `answer` could ask
    unattached.setKeepAlive(false);
    session_->setKeepAlive(false);
    send(unattached, {400,
                      "application/json",
                      R"({"code":"syntax_error","message":"not an HTTP request","retry":false})",
                      {},
                      nullptr});
    return false;
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
