#include "http_session.h"

#include <Poco/InflatingStream.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/URI.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "confinement.h"
#include "git_command.h"
#include "wire.h"

namespace flynn::builder {
namespace {

namespace net = Poco::Net;
using namespace std::chrono_literals;
constexpr auto kPluginPatience = 30s;
// Of the router's idle connections; a build may be silent for longer, but then the client waits, not we.
const Poco::Timespan kIdleTimeout(75, 0), kBodyTimeout(600, 0);
constexpr std::size_t kCopyBytes = 65536;

struct Target {
  std::string app, service;
  bool advertise = false;  // info/refs
  bool dumb = false;       // without a service: the protocol of 2005
};

/// Of "/app.git/info/refs?service=git-receive-pack" or "/app.git/git-receive-pack"; nullopt: no path of ours.
std::optional<Target> target_of(const std::string& method, const std::string& text) {
  const Poco::URI uri(text);
  std::vector<std::string> segments;
  uri.getPathSegments(segments);
  if (segments.size() < 2) return std::nullopt;
  auto app = app_of_repository(segments[0]);
  if (!app) return std::nullopt;
  Target target{*app, {}, false, false};
  if (method == "GET" && segments.size() == 3 && segments[1] == "info" && segments[2] == "refs") {
    target.advertise = true;
    for (const auto& [name, value] : uri.getQueryParameters())
      if (name == "service") target.service = value;
    target.dumb = target.service.empty();
  } else if (method == "POST" && segments.size() == 2) {
    target.service = segments[1];
  }
  const bool known = target.service == "git-receive-pack" || target.service == "git-upload-pack";
  return known || target.dumb ? std::optional(target) : std::nullopt;
}

class Session {
 public:
  Session(net::HTTPServerSession& session, net::HTTPServerParams::Ptr params, UniqueFd control)
      : session_(session), params_(std::move(params)), control_(std::move(control)) {}

  /// False: the connection is over.
  bool serve_one() {
    net::HTTPServerResponseImpl response(session_);
    net::HTTPServerRequestImpl request(response, session_, params_.get());
    response.setVersion(request.getVersion());
    if (request.getExpectContinue()) response.sendContinue();
    const bool whole = handle(request, response);
    session_.setKeepAlive(whole && request.getKeepAlive());
    return whole && request.getKeepAlive();
  }

 private:
  bool handle(net::HTTPServerRequest& request, net::HTTPServerResponse& response) {
    if (request.getURI() == "/.well-known/status") {
      response.setContentType("application/json");
      return say(request, response, net::HTTPResponse::HTTP_OK, R"({"data":{"status":"healthy"}})");
    }
    const auto target = target_of(request.getMethod(), request.getURI());
    if (!target) return say(request, response, net::HTTPResponse::HTTP_FORBIDDEN, "Forbidden\n");
    if (!is_allowed(request.get("Authorization", ""), target->app)) {
      response.set("WWW-Authenticate", "Basic realm=\"flynn\"");
      return say(request, response, net::HTTPResponse::HTTP_UNAUTHORIZED, "Authentication required\n");
    }
    if (target->dumb) return say(request, response, net::HTTPResponse::HTTP_NOT_FOUND, "Not Found\n");
    auto started = start(*target);
    if (!started && started.error().code == Code::not_found)
      return say(request, response, net::HTTPResponse::HTTP_NOT_FOUND, started.error().message + "\n");
    if (!started || started->size() != 3)
      return say(request, response, net::HTTPResponse::HTTP_INTERNAL_SERVER_ERROR, "Internal server error\n");
    return relay(request, response, *target, std::move(*started));
  }

  /// The body is read to its end first: what is left of it would be taken for the next request.
  static bool say(net::HTTPServerRequest& request, net::HTTPServerResponse& response,
                  net::HTTPResponse::HTTPStatus status, const std::string& text) {
    std::array<char, kCopyBytes> rest{};
    std::size_t read = 0;
    while (request.stream().good() && read < (1u << 20)) {
      request.stream().read(rest.data(), static_cast<std::streamsize>(rest.size()));
      read += static_cast<std::size_t>(request.stream().gcount());
    }
    response.setStatusAndReason(status);
    response.set("Cache-Control", "no-cache");
    response.setKeepAlive(read < (1u << 20));
    response.sendBuffer(text.data(), text.size());
    return read < (1u << 20);
  }

  bool is_allowed(const std::string& authorization, const std::string& app) {
    if (authorization.empty()) return false;
    if (!send_message(control_.get(), {{"authorize", authorization}, {"app", app}})) return false;
    auto answer = receive_message(control_.get(), Deadline::after(kPluginPatience));
    return answer && bool_or(answer->body, "allowed");
  }

  /// Standard input, output and error of a git that runs.
  Result<std::vector<UniqueFd>> start(const Target& target) {
    const json::object ask{{"receive", target.app}, {"service", target.service}, {"advertise", target.advertise}};
    if (auto sent = send_message(control_.get(), ask); !sent) return sent.error();
    auto answer = receive_message(control_.get(), Deadline::after(kPluginPatience));
    if (!answer) return answer.error();
    if (auto why = find_string(answer->body, "error"))
      return Error{bool_or(answer->body, "unknown") ? Code::not_found : Code::internal, *why};
    return std::move(answer->fds);
  }

  bool relay(net::HTTPServerRequest& request, net::HTTPServerResponse& response, const Target& target,
             std::vector<UniqueFd> git) {
    response.setStatusAndReason(net::HTTPResponse::HTTP_OK);
    response.setContentType("application/x-" + target.service + (target.advertise ? "-advertisement" : "-result"));
    response.set("Cache-Control", "no-cache");
    response.setChunkedTransferEncoding(true);
    response.setKeepAlive(request.getKeepAlive());
    // git reads its whole input before it says much, but not always: neither may wait for the other.
    bool whole = true;
    std::thread feeder([&, input = std::move(git[0])]() mutable { whole = feed(request, std::move(input)); });
    std::thread words([error = std::move(git[2])] { drop_all(error.get()); });
    auto& out = response.send();
    if (target.advertise) out << announcement(target.service);
    std::array<char, kCopyBytes> bytes{};
    while (out.good()) {
      const auto got = ::read(git[1].get(), bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      out.write(bytes.data(), got);
      out.flush();
    }
    git[1].reset();  // a client that has gone: git ends at its next word
    feeder.join();
    words.join();
    (void)receive_message(control_.get(), Deadline::after(kPluginPatience));  // {"exit"}
    return whole && out.good();
  }

  static bool feed(net::HTTPServerRequest& request, UniqueFd input) {
    auto& body = request.stream();
    std::unique_ptr<std::istream> inflated;
    const auto encoding = request.get("Content-Encoding", "");
    if (encoding == "gzip" || encoding == "x-gzip")
      inflated = std::make_unique<Poco::InflatingInputStream>(body, Poco::InflatingStreamBuf::STREAM_GZIP);
    std::istream& from = inflated ? *inflated : body;
    std::array<char, kCopyBytes> bytes{};
    bool git_reads = true;
    try {
      while (from.good()) {
        from.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        const auto got = from.gcount();
        for (std::streamsize done = 0; git_reads && done < got;) {
          const auto written = ::write(input.get(), bytes.data() + done, static_cast<std::size_t>(got - done));
          if (written < 0 && errno == EINTR) continue;
          git_reads = written > 0;
          done += written;
        }
      }
    } catch (const std::exception&) {
      return false;  // it broke off; git notices by the end of its input
    }
    return from.eof();
  }

  static void drop_all(int fd) {
    std::array<char, 4096> bytes{};
    while (::read(fd, bytes.data(), bytes.size()) > 0) {
    }
  }

  static std::string announcement(const std::string& service) {
    const std::string line = "# service=" + service + "\n";
    std::array<char, 8> size{};
    std::snprintf(size.data(), size.size(), "%04zx", line.size() + 4);
    return size.data() + line + "0000";
  }

  net::HTTPServerSession& session_;
  net::HTTPServerParams::Ptr params_;
  UniqueFd control_;
};

}  // namespace

int serve_http_session(UniqueFd connection, UniqueFd control, unsigned uid) {
  if (auto dropped = drop_privileges(uid); !dropped) {
    std::fprintf(stderr, "%s\n", dropped.error().message.c_str());
    return 1;
  }
  try {
    net::HTTPServerParams::Ptr params(new net::HTTPServerParams);
    params->setTimeout(kIdleTimeout);
    params->setKeepAliveTimeout(kIdleTimeout);
    net::StreamSocket socket(new net::StreamSocketImpl(connection.release()));
    socket.setNoDelay(true);
    net::HTTPServerSession http(socket, params);
    Session session(http, params, std::move(control));
    do {
      socket.setReceiveTimeout(kIdleTimeout);
      if (!socket.poll(kIdleTimeout, net::Socket::SELECT_READ)) return 0;
      socket.setReceiveTimeout(kBodyTimeout);
      socket.setSendTimeout(kBodyTimeout);
    } while (session.serve_one());
  } catch (const std::exception&) {
    return 0;  // the client has gone, or sent what is no HTTP: there is nobody to tell
  }
  return 0;
}

}  // namespace flynn::builder
