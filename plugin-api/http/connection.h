/// One client's connection: reads a request with Poco's parser, writes the answer, stays open or not.
///
/// Thread: used by one thread at a time.
#pragma once

#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "http_session.h"
#include "listener.h"

namespace flynn::http {

/// A refused client may be in the middle of a long body: closing at once would reset the connection under the answer.
inline constexpr std::chrono::milliseconds kLingerTime{2000};

class HttpConnection {
 public:
  /// Null when the socket can't be used.
  static std::unique_ptr<HttpConnection> open(UniqueFd socket, const ListenerOptions& options);
  ~HttpConnection();

  int fd() const { return fd_; }
  /// What to do with the connection next.
  enum class Next {
    request,  // keep it and watch for the next one
    linger,   // the last answer is out: drop_input() until it says so, for kLingerTime at most, then close
    close,    // when a stream began, the pump has the connection already
  };
  /// Serves every request that has arrived.
  Next serve(const HttpListener::Handle& handle, StreamPump& pump, const std::atomic<bool>& draining);
  /// Throws away what has come, without waiting; false when no more will come.
  bool drop_input();
  /// Ends the wait for a slow body, whose client gets no answer; any other answer may still go out. Thread: [any],
  /// while the connection lives.
  void cut_off();

 private:
  HttpConnection(std::unique_ptr<HttpSession> session, int fd, const ListenerOptions& options);
  bool serve_one(const HttpListener::Handle& handle, StreamPump& pump, const std::atomic<bool>& draining);
  std::optional<HttpResponse> answer_to(const Poco::Net::HTTPServerRequestImpl& asked,
                                        Poco::Net::HTTPServerResponseImpl& answer, const HttpListener::Handle& handle);

  bool refuse_garbage();

  std::unique_ptr<HttpSession> session_;
  int fd_;
  const ListenerOptions& options_;
  std::atomic<bool> cut_{false};
  bool unread_ = false;  // the client may still be sending what nobody will read
};

}  // namespace flynn::http
