#include "blob_http.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/ThreadPool.h>
#include <unistd.h>

#include <condition_variable>
#include <istream>
#include <mutex>
#include <ostream>
#include <vector>

#include "blob_name.h"
#include "lent_socket.h"

namespace flynn::blobstore {
namespace {

using Poco::Net::HTTPResponse;
using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;

constexpr std::size_t kCopyBytes = 256 * 1024;
constexpr int kQueuedMax = 64;
constexpr int kIoTimeoutS = 60;
constexpr int kKeepAliveS = 5;
constexpr int kMinThreads = 1;

// Counts requests in flight, so that a drain can wait for the last.
class InFlight {
 public:
  void enter() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_left_.notify_all();
  }
  void wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    none_left_.wait_for(lock, deadline.left(), [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_left_;
  int count_ = 0;
};

HTTPResponse::HTTPStatus status_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return HTTPResponse::HTTP_BAD_REQUEST;
    case Code::not_found:
      return HTTPResponse::HTTP_NOT_FOUND;
    case Code::resource_exhausted:
      return HTTPResponse::HTTP_INSUFFICIENT_STORAGE;
    case Code::unavailable:
      return HTTPResponse::HTTP_SERVICE_UNAVAILABLE;
    default:
      return HTTPResponse::HTTP_INTERNAL_SERVER_ERROR;
  }
}

class Handler : public Poco::Net::HTTPRequestHandler {
 public:
  Handler(const BlobFiles& files, bool read_only, InFlight& in_flight)
      : files_(files), read_only_(read_only), in_flight_(in_flight) {
    in_flight_.enter();
  }
  ~Handler() override { in_flight_.leave(); }

  void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
    const std::string& uri = request.getURI();
    const auto& method = request.getMethod();
    // Names have no character that needs escaping, so a path with '%' or '?' is no name and is refused as such.
    const std::string name = uri.starts_with('/') ? uri.substr(1) : uri;
    if (auto checked = check_name(name); !checked) return fail(response, checked.error());
    if (method == "GET" || method == "HEAD") return get(name, method == "HEAD", response);
    if (method != "PUT" && method != "DELETE") {
      response.set("Allow", "GET, HEAD, PUT, DELETE");
      return answer(response, HTTPResponse::HTTP_METHOD_NOT_ALLOWED, "use GET, HEAD, PUT or DELETE\n");
    }
    if (read_only_) return answer(response, HTTPResponse::HTTP_FORBIDDEN, "blobs are read-only by HTTP here\n");
    if (method == "PUT") return put(name, request, response);
    if (auto removed = files_.remove(name); !removed) return fail(response, removed.error());
    answer(response, HTTPResponse::HTTP_OK, "");
  }

 private:
  static void answer(HTTPServerResponse& response, HTTPResponse::HTTPStatus status, const std::string& text) {
    // An unread request body must not be taken for the next request.
    if (status != HTTPResponse::HTTP_OK) response.setKeepAlive(false);
    response.setStatusAndReason(status);
    response.setContentType("text/plain");
    response.sendBuffer(text.data(), text.size());
  }

  static void fail(HTTPServerResponse& response, const Error& error) {
    answer(response, status_of(error.code), error.message + "\n");
  }

  void get(const std::string& name, bool head_only, HTTPServerResponse& response) {
    auto blob = files_.get(name);
    if (!blob) return fail(response, blob.error());
    response.setContentType("application/octet-stream");
    response.setContentLength64(static_cast<Poco::Int64>(blob->info.size));
    response.set("ETag", "\"" + blob->info.sha512_256 + "\"");
    std::ostream& out = response.send();
    if (head_only) return;
    std::vector<char> chunk(kCopyBytes);
    for (std::uint64_t left = blob->info.size; left > 0 && out.good();) {
      const ssize_t got = ::read(blob->file.get(), chunk.data(), chunk.size());
      if (got <= 0) {
        response.setKeepAlive(false);  // too short for its Content-Length: the client must see it broken
        return;
      }
      out.write(chunk.data(), got);
      left -= static_cast<std::uint64_t>(got);
    }
    out.flush();
  }

  void put(const std::string& name, HTTPServerRequest& request, HTTPServerResponse& response) {
    if (!request.hasContentLength() || request.getChunkedTransferEncoding())
      return answer(response, HTTPResponse::HTTP_LENGTH_REQUIRED, "a PUT needs a Content-Length\n");
    auto blob = files_.writer(name);
    if (!blob) return fail(response, blob.error());
    std::istream& in = request.stream();
    std::vector<char> chunk(kCopyBytes);
    for (auto left = request.getContentLength64(); left > 0;) {
      in.read(chunk.data(), static_cast<std::streamsize>(std::min<Poco::Int64>(left, kCopyBytes)));
      const auto got = in.gcount();
      if (got <= 0)
        return answer(response, HTTPResponse::HTTP_BAD_REQUEST, "the body ended before its Content-Length\n");
      if (auto written = blob->write({chunk.data(), static_cast<std::size_t>(got)}); !written)
        return fail(response, written.error());
      left -= got;
    }
    auto stored = blob->commit(name, std::nullopt);
    if (!stored) return fail(response, stored.error());
    response.set("ETag", "\"" + stored->sha512_256 + "\"");
    answer(response, HTTPResponse::HTTP_OK, "");
  }

  const BlobFiles& files_;
  bool read_only_;
  InFlight& in_flight_;
};

class Factory : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  Factory(const BlobFiles& files, bool read_only, InFlight& in_flight)
      : files_(files), read_only_(read_only), in_flight_(in_flight) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
    return new Handler(files_, read_only_, in_flight_);
  }

 private:
  const BlobFiles& files_;
  bool read_only_;
  InFlight& in_flight_;
};

Poco::Net::HTTPServerParams::Ptr server_params(int threads_max) {
  Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
  params->setMaxThreads(threads_max);
  params->setMaxQueued(kQueuedMax);
  params->setTimeout(Poco::Timespan(kIoTimeoutS, 0));
  params->setKeepAliveTimeout(Poco::Timespan(kKeepAliveS, 0));
  return params;
}

}  // namespace

// Destroyed in reverse: the server before the pool whose threads it uses.
struct BlobHttp::Server {
  Server(const BlobFiles& files, const BlobHttpOptions& options, UniqueFd listener)
      : wake(std::make_shared<StopSignal>()),
        pool("blob-http", kMinThreads, options.threads_max),
        server(new Factory(files, options.read_only, in_flight), pool, LentServerSocket(std::move(listener), wake),
               server_params(options.threads_max)) {}

  std::shared_ptr<StopSignal> wake;
  InFlight in_flight;
  Poco::ThreadPool pool;
  Poco::Net::HTTPServer server;
};

BlobHttp::BlobHttp(const BlobFiles& files, BlobHttpOptions options) : files_(files), options_(options) {}

BlobHttp::~BlobHttp() { stop(); }

void BlobHttp::start(UniqueFd listener) {
  stop();
  server_ = std::make_unique<Server>(files_, options_, std::move(listener));
  server_->server.start();
}

void BlobHttp::stop_accepting() {
  if (!server_) return;
  server_->wake->ask();
  server_->server.stop();
}

void BlobHttp::drain(Deadline deadline) {
  if (server_) server_->in_flight.wait(deadline);
}

void BlobHttp::stop() {
  if (!server_) return;
  stop_accepting();
  server_->server.stopAll(true);
  server_->pool.joinAll();
  server_.reset();
}

}  // namespace flynn::blobstore
