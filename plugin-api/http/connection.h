/// One client's connection: reads a request with Poco's parser, writes the answer, stays open or not.
///
/// Thread: used by one thread at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "listener.h"

namespace flynn::http {

class HttpConnection {
 public:
  /// Null when the socket can't be used.
  static std::unique_ptr<HttpConnection> open(UniqueFd socket, const ListenerOptions& options);
  ~HttpConnection();

  int fd() const { return fd_; }
  /// Serves every request that has arrived. True: keep it and watch for the next one. False: close it; when a stream
  /// began, the pump has the connection already.
  bool serve(const HttpListener::Handle& handle, StreamPump& pump, const std::atomic<bool>& draining);

 private:
  struct Session;
  HttpConnection(std::unique_ptr<Session> session, int fd, const ListenerOptions& options);
  bool serve_one(const HttpListener::Handle& handle, StreamPump& pump, const std::atomic<bool>& draining);

  std::unique_ptr<Session> session_;
  int fd_;
  const ListenerOptions& options_;
  bool unread_ = false;  // the client may still be sending a body that nobody wants
};

}  // namespace flynn::http
