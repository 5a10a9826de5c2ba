/// Poco's session on one client's socket, with a limit to what is waited for each request.
///
/// A limit for each receive alone would let a client that drips a byte at a time hold its thread for ever.
/// Thread: used by one thread at a time.
#pragma once

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <chrono>
#include <cstdint>

#include "listener.h"

namespace flynn::http {

/// Throws Poco::TimeoutException from a receive that would wait longer than its patience.
class PatientSocket : public Poco::Net::StreamSocketImpl {
 public:
  PatientSocket(int fd, std::chrono::milliseconds one_wait) : StreamSocketImpl(fd), one_wait_(one_wait) {}
  using StreamSocketImpl::receiveBytes;
  using StreamSocketImpl::sendBytes;

  /// From now on all waits together may take `total`, and a second more for each `bytes_per_second` that came.
  /// Only waiting for the client counts, not what is done with its bytes. `bytes_per_second` 0: never more.
  void be_patient(std::chrono::milliseconds total, std::int64_t bytes_per_second);
  /// As if be_patient() had said so for what has come already.
  void set_rate(std::int64_t bytes_per_second) { bytes_per_second_ = bytes_per_second; }

  int receiveBytes(void* buffer, int length, int flags) override;
  /// Never raises SIGPIPE.
  int sendBytes(const void* buffer, int length, int flags) override;

 private:
  void wait();

  const std::chrono::milliseconds one_wait_;
  std::chrono::milliseconds total_{0};
  std::chrono::nanoseconds waited_{0};
  std::int64_t bytes_per_second_ = 0, received_ = 0;
};

class HttpSession : public Poco::Net::HTTPServerSession {
 public:
  /// Owns `fd` from here, also when it throws.
  HttpSession(int fd, const ListenerOptions& options);

  using Poco::Net::HTTPServerSession::get;
  using Poco::Net::HTTPServerSession::read;
  bool has_buffered() const { return buffered() > 0; }
  Poco::Net::HTTPServerParams* params() { return params_.get(); }
  /// Head and body together have ListenerOptions::total_timeout from here on.
  void begin_request();
  /// The body goes to a sink: it may take longer, as long as it comes at ListenerOptions::sink_rate_min.
  void allow_long_body();

 private:
  HttpSession(PatientSocket* socket, Poco::Net::HTTPServerParams::Ptr params, const ListenerOptions& options);

  PatientSocket* const socket_;  // the base's
  Poco::Net::HTTPServerParams::Ptr params_;
  const ListenerOptions& options_;
};

}  // namespace flynn::http
