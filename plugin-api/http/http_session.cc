#include "http_session.h"

#include <Poco/Exception.h>
#include <Poco/Net/StreamSocket.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace flynn::http {
namespace {

namespace net = Poco::Net;
using std::chrono::milliseconds;

Poco::Timespan timespan(milliseconds value) { return Poco::Timespan(value.count() * 1000); }

net::HTTPServerParams::Ptr params_of(const ListenerOptions& options) {
  net::HTTPServerParams::Ptr params(new net::HTTPServerParams);
  params->setTimeout(timespan(options.request_timeout));
  return params;
}

}  // namespace

void PatientSocket::be_patient(milliseconds total, std::int64_t bytes_per_second) {
  total_ = total;
  bytes_per_second_ = bytes_per_second;
  waited_ = {};
  received_ = 0;
}

int PatientSocket::receiveBytes(void* buffer, int length, int flags) {
  while (true) {
    const ssize_t got = ::recv(sockfd(), buffer, static_cast<std::size_t>(length), flags | MSG_DONTWAIT);
    if (got >= 0) {
      received_ += got;
      return static_cast<int>(got);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait();
    } else if (errno != EINTR) {
      error(errno);
    }
  }
}

void PatientSocket::wait() {
  milliseconds patience = total_;
  if (bytes_per_second_ > 0) patience += milliseconds(received_ * 1000 / bytes_per_second_);
  const auto left = std::chrono::ceil<milliseconds>(patience - waited_);
  if (left <= milliseconds(0)) throw Poco::TimeoutException("the request came too slowly");
  const auto began = std::chrono::steady_clock::now();
  pollfd waiting{sockfd(), POLLIN, 0};
  const int ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, one_wait_).count()));
  waited_ += std::chrono::steady_clock::now() - began;
  if (ready == 0) throw Poco::TimeoutException("the client went silent");
}

int PatientSocket::sendBytes(const void* buffer, int length, int flags) {
  return StreamSocketImpl::sendBytes(buffer, length, flags | MSG_NOSIGNAL);
}

HttpSession::HttpSession(int fd, const ListenerOptions& options)
    : HttpSession(new PatientSocket(fd, options.request_timeout), params_of(options), options) {}

HttpSession::HttpSession(PatientSocket* socket, net::HTTPServerParams::Ptr params, const ListenerOptions& options)
    : net::HTTPServerSession(net::StreamSocket(socket), params), socket_(socket), params_(params), options_(options) {
  socket_->setNoDelay(true);
  socket_->setSendTimeout(timespan(options.request_timeout));
}

void HttpSession::begin_request() { socket_->be_patient(options_.total_timeout, 0); }

void HttpSession::allow_long_body() { socket_->set_rate(options_.sink_rate_min); }

}  // namespace flynn::http
