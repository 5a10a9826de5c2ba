#include "connection.h"

#include <Poco/Net/NetException.h>
#include <Poco/Timestamp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>

#include "body_reader.h"
#include "flynn/sdk/stream.h"
#include "stream_pump.h"

namespace flynn::http {
namespace {

namespace net = Poco::Net;

/// `message` is put into JSON as it is.
HttpResponse refusal(int status, const std::string& code, const std::string& message, bool retry = false) {
  const std::string body = R"({"code":")" + code + R"(","message":")" + message + R"(","retry":)";
  return {status, "application/json", body + (retry ? "true}" : "false}"), {}, nullptr};
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

HttpConnection::HttpConnection(std::unique_ptr<HttpSession> session, int fd, const ListenerOptions& options)
    : session_(std::move(session)), fd_(fd), options_(options) {}

HttpConnection::~HttpConnection() = default;

std::unique_ptr<HttpConnection> HttpConnection::open(UniqueFd socket, const ListenerOptions& options) {
  try {
    const int fd = socket.release();
    auto session = std::make_unique<HttpSession>(fd, options);
    return std::unique_ptr<HttpConnection>(new HttpConnection(std::move(session), fd, options));
  } catch (const std::exception&) {
    return nullptr;  // the client went away between accept and now
  }
}

HttpConnection::Next HttpConnection::serve(const HttpListener::Handle& handle, StreamPump& pump,
                                           const std::atomic<bool>& draining) {
  try {
    do {
      if (serve_one(handle, pump, draining)) continue;
      if (!unread_) return Next::close;
      ::shutdown(fd_, SHUT_WR);  // here, because the answer's destructor sends it
      return Next::linger;
    } while (session_->has_buffered());
    return Next::request;
  } catch (const std::exception&) {
    return Next::close;  // reset, timed out, or closed by the client: there is nobody to tell
  }
}

bool HttpConnection::drop_input() {
  std::array<char, 64 * 1024> dropped;
  const ssize_t got = ::recv(fd_, dropped.data(), dropped.size(), MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void HttpConnection::cut_off() {
  cut_ = true;
  ::shutdown(fd_, SHUT_RD);
}

/// Leaves in unread_ whether the client may still be sending its body. Nothing: the body was cut off by us, and a
/// client that sees no answer knows that it may ask again.
std::optional<HttpResponse> HttpConnection::answer_to(const net::HTTPServerRequestImpl& asked,
                                                      net::HTTPServerResponseImpl& answer,
                                                      const HttpListener::Handle& handle) {
  HttpRequest request = request_of(asked);
  request.connection = fd_;
  const auto frame = frame_of(asked);
  unread_ = !frame || !frame->empty();
  if (!frame) return refusal(400, "syntax_error", "Content-Length and Transfer-Encoding do not tell one body's length");
  if (asked.hasContentLength()) request.content_length = frame->length;
  const bool readable = parse_target(asked.getURI(), request);
  if (readable && options_.before_body) {
    if (auto refused = options_.before_body(request)) return refused;
  }
  if (asked.getExpectContinue()) answer.sendContinue();
  if (request.sink != nullptr) session_->allow_long_body();
  switch (read_body(*session_, *frame, options_.request_bytes_max, request)) {
    case BodyEnd::whole:
      unread_ = false;
      break;
    case BodyEnd::unwanted:
      break;  // the handler says why
    case BodyEnd::too_big:
      return refusal(400, "request_body_too_big",
                     "the body is larger than " + std::to_string(options_.request_bytes_max) + " bytes");
    case BodyEnd::broken:
      if (cut_) return std::nullopt;
      return refusal(400, "syntax_error", "the body is malformed or was broken off: send the request again");
    case BodyEnd::late:
      return refusal(408, "request_timeout", "the request took too long to arrive: send it again", true);
  }
  if (!readable) return refusal(400, "syntax_error", "the path has a broken escape");
  return handle(request);
}

bool HttpConnection::serve_one(const HttpListener::Handle& handle, StreamPump& pump,
                               const std::atomic<bool>& draining) {
  net::HTTPServerResponseImpl answer(*session_);
  std::optional<net::HTTPServerRequestImpl> kept;  // `answer` asks it for its method when it is sent
  HttpResponse response;
  session_->begin_request();
  try {
    net::HTTPServerRequestImpl& asked = kept.emplace(answer, *session_, session_->params());
    const std::string& version = asked.getVersion();
    if (version != net::HTTPMessage::HTTP_1_1 && version != net::HTTPMessage::HTTP_1_0) return refuse_garbage();
    answer.setVersion(version);
    auto made = answer_to(asked, answer, handle);
    if (!made) {
      unread_ = false;
      return false;
    }
    response = std::move(*made);
  } catch (const net::NoMessageException&) {
    return false;  // an ordinary end of a kept connection
  } catch (const Poco::TimeoutException&) {
    return false;
  } catch (const Poco::DataException&) {
    if (kept) throw;
    return refuse_garbage();  // its Content-Length is no number
  } catch (const net::MessageException&) {
    return refuse_garbage();
  }
  bool keep = !unread_ && kept->getKeepAlive();
  if (response.stream != nullptr) {
    Poco::Buffer<char> early(0);
    session_->drainBuffer(early);  // a client may send frames right behind its request
    response.stream->from_client.assign(early.begin(), early.size());
    auto client = duplicate(fd_);
    if (client && pump.add(std::move(response.stream), *client)) {
      unread_ = false;  // lingering would end the pump's stream
      return false;
    }
    response = refusal(503, "service_unavailable", "too many open streams", true);
    keep = false;  // what was drained may have been the beginning of the next request
    unread_ = true;
  }
  keep = keep && !draining;
  answer.setKeepAlive(keep);
  send(answer, response);
  session_->setKeepAlive(keep);
  return keep;
}

/// Always false, as serve_one() when the connection is of no more use.
bool HttpConnection::refuse_garbage() {
  // By hand: without a request that it could ask, Poco's answer leaves out the body.
  const std::string body = refusal(400, "syntax_error", "not an HTTP request").body;
  const std::string answer = "HTTP/1.1 400 Bad Request\r\nConnection: Close\r\nContent-Type: application/json\r\n" +
                             ("Content-Length: " + std::to_string(body.size())) + "\r\n\r\n" + body;
  session_->socket().sendBytes(answer.data(), static_cast<int>(answer.size()));
  unread_ = true;
  return false;
}

}  // namespace flynn::http
