#include "http.h"

#include <Poco/Buffer.h>
#include <Poco/Net/HTTPBasicCredentials.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/StreamCopier.h>
#include <Poco/Thread.h>
#include <Poco/URI.h>

#include <algorithm>

#include "documents.h"

namespace flynn::cli {
namespace {

using std::chrono::steady_clock;

constexpr long kRetryPauseMs = 100;
constexpr std::chrono::seconds kRetryFor{10};

/// The controller's own codes as ours.
ErrorCode code_of(std::string_view theirs) {
  if (theirs == "object_exists") return ErrorCode::kNameTaken;
  if (theirs == "validation_error" || theirs == "syntax_error") return ErrorCode::kValidation;
  if (theirs == "forbidden") return ErrorCode::kNotAllowed;
  if (theirs == "unknown_error") return ErrorCode::kControllerFailed;
  if (theirs == "service_unavailable") return ErrorCode::kControllerFailed;
  return ErrorCode::kUnknown;
}

Error network_failure(const std::string& source, const Poco::Exception& error) {
  return {source + ": the connection to the controller failed: " + error.displayText(),
          "The node may have gone down or be restarting; look with 'flynn cluster' and scripts/up, then try again.",
          Failure::kRefused, ErrorCode::kConnectionLost};
}

}  // namespace

Refusal refusal_of(int status, const std::string& content_type, const std::string& body, const std::string& source) {
  if (status == 404 && content_type.find("json") == std::string::npos) {
    return {{source + ": controller: resource not found", "", Failure::kNotFound}};
  }
  if (status == 401) {
    return {{source + ": the controller does not accept the key of this cluster (status 401)",
             "Take the key from the cluster's bootstrap output and run 'flynn cluster add -f …'.",
             Failure::kUnauthorized}};
  }
  const auto document = parse_json(source, body);
  if (document && document->is_object()) {
    const json::object& object = document->get_object();
    const std::string code = text_of(object, "code");
    const Failure kind = status == 409   ? Failure::kConflict
                         : status == 404 ? Failure::kNotFound
                         : status == 403 ? Failure::kUnauthorized
                                         : Failure::kOther;
    if (!code.empty()) {
      return {{code + ": " + text_of(object, "message"), "", kind, code_of(code)}, flag_of(object, "retry")};
    }
  }
  const Error error = failure(source + ": unexpected status " + std::to_string(status));
  if (status == 501) return {error.as(ErrorCode::kNotSupported)};
  return {status >= 500 ? error.as(ErrorCode::kControllerFailed) : error};
}

Deadline deadline_after(std::chrono::milliseconds duration) { return steady_clock::now() + duration; }

LineStream::LineStream(Dialled dialled, std::istream& body, std::string source)
    : dialled_(std::move(dialled)), body_(&body), source_(std::move(source)) {}

Result<std::optional<std::string>> LineStream::next_line(const Deadline& deadline) {
  const Error timeout{source_ + ": timed out", "", Failure::kTimeout};
  try {
    Poco::Timespan wait(0);  // none
    if (deadline) {
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(*deadline - steady_clock::now());
      if (left.count() <= 0) return timeout;
      wait = Poco::Timespan(left.count());
    }
    dialled_.socket.setReceiveTimeout(wait);
    std::string line;
    if (std::getline(*body_, line)) return std::optional(std::move(line));
    // iostreams swallow the exception; the session keeps it.
    const Poco::Exception* error = dialled_.session->networkException();
    if (dynamic_cast<const Poco::TimeoutException*>(error) != nullptr) return timeout;
    if (deadline && steady_clock::now() >= *deadline) return timeout;
    if (error != nullptr) return network_failure(source_, *error);
    return std::optional<std::string>();
  } catch (const Poco::TimeoutException&) {
    return timeout;
  } catch (const Poco::Exception& error) {
    return network_failure(source_, error);
  }
}

ByteStream::ByteStream(Dialled dialled, std::istream& body, std::string source)
    : dialled_(std::move(dialled)), body_(&body), source_(std::move(source)) {}

Result<std::size_t> ByteStream::read(char* into, std::size_t size) {
  try {
    body_->read(into, static_cast<std::streamsize>(size));
    // iostreams swallow the exception; the session keeps it.
    if (const Poco::Exception* error = dialled_.session->networkException(); body_->gcount() == 0 && error != nullptr)
      return network_failure(source_, *error);
    return static_cast<std::size_t>(body_->gcount());
  } catch (const Poco::Exception& error) {
    return network_failure(source_, error);
  }
}

Result<ControllerClient::Answer> ControllerClient::send(const Request& request) {
  const std::string source = request.method + " " + request.path;
  if (read_only_ && request.method != "GET") {
    return Error{"would send " + source + " " + request.body, "", Failure::kPlanned};
  }
  auto dialled = dial(endpoint_);
  if (!dialled) return dialled.error();
  try {
    const std::string prefix = Poco::URI(endpoint_.url).getPath();
    Poco::Net::HTTPRequest http(request.method, (prefix == "/" ? "" : prefix) + request.path,
                                Poco::Net::HTTPMessage::HTTP_1_1);
    http.setHost(dialled->host_header);
    http.setContentType("application/json");
    http.setKeepAlive(false);
    http.setContentLength(static_cast<std::streamsize>(request.body.size()));
    for (const auto& [name, value] : request.headers) http.set(name, value);
    if (!endpoint_.key.empty()) Poco::Net::HTTPBasicCredentials("", endpoint_.key).authenticate(http);
    dialled->session->sendRequest(http) << request.body << std::flush;
    Poco::Net::HTTPResponse response;
    std::istream& body = dialled->session->receiveResponse(response);
    const std::string type = response.getContentType();
    return Answer{std::move(*dialled), &body, static_cast<int>(response.getStatus()), type};
  } catch (const Poco::Exception& error) {
    return network_failure(source, error);
  }
}

Result<std::string> ControllerClient::call(const Request& request) {
  const std::string source = request.method + " " + request.path;
  const auto give_up = steady_clock::now() + kRetryFor;
  for (;;) {
    auto answer = send(request);
    if (!answer) return answer.error();
    std::string body;
    try {
      Poco::StreamCopier::copyToString(*answer->body, body);
    } catch (const Poco::Exception& error) {
      return network_failure(source, error);
    }
    if (answer->status == 200) return body;
    const Refusal refusal = refusal_of(answer->status, answer->content_type, body, source);
    if (!refusal.retry || steady_clock::now() >= give_up) return refusal.error;
    Poco::Thread::sleep(kRetryPauseMs);  // style: allow, the wire says: again in 100 ms
  }
}

Result<json::value> ControllerClient::call_json(const std::string& method, const std::string& path, std::string body) {
  const auto text = call({method, path, std::move(body), {{"Accept", "application/json"}}});
  if (!text) return text.error();
  if (text->find_first_not_of(" \r\n\t") == std::string::npos) return json::value();
  return parse_json(method + " " + path, *text);
}

Result<json::value> ControllerClient::get(const std::string& path) { return call_json("GET", path, ""); }
Result<json::value> ControllerClient::remove(const std::string& path) { return call_json("DELETE", path, ""); }

Result<json::value> ControllerClient::put(const std::string& path, const json::value& body) {
  return call_json("PUT", path, json::serialize(body));
}

Result<json::value> ControllerClient::post(const std::string& path, const json::value& body) {
  return call_json("POST", path, json::serialize(body));
}

Result<std::string> ControllerClient::get_text(const std::string& path) { return call({"GET", path, "", {}}); }

/// The answer when it is 200, its body unread.
Result<ControllerClient::Answer> ControllerClient::open_body(const std::string& path, const Headers& headers) {
  auto answer = send({"GET", path, "", headers});
  if (!answer || answer->status == 200) return answer;
  std::string body;
  Poco::StreamCopier::copyToString(*answer->body, body);
  return refusal_of(answer->status, answer->content_type, body, "GET " + path).error;
}

Result<std::unique_ptr<LineStream>> ControllerClient::stream(const std::string& path, const Headers& headers) {
  auto answer = open_body(path, headers);
  if (!answer) return answer.error();
  return std::make_unique<LineStream>(std::move(answer->dialled), *answer->body, "GET " + path);
}

Result<std::unique_ptr<ByteStream>> ControllerClient::download(const std::string& path, const Headers& headers) {
  auto answer = open_body(path, headers);
  if (!answer) return answer.error();
  return std::make_unique<ByteStream>(std::move(answer->dialled), *answer->body, "GET " + path);
}

Result<Upgraded> ControllerClient::attach(const std::string& path, const json::value& body) {
  return upgrade_with(path, json::serialize(body), "flynn-attach/0");
}

Result<Upgraded> ControllerClient::upgrade(const std::string& path, const std::string& protocol) {
  return upgrade_with(path, "", protocol);
}

Result<Upgraded> ControllerClient::upgrade_with(const std::string& path, const std::string& body,
                                                const std::string& protocol) {
  auto answer = send({"POST", path, body, {{"Connection", "upgrade"}, {"Upgrade", protocol}}});
  if (!answer) return answer.error();
  const std::string source = "POST " + path;
  try {
    if (answer->status == 101) {
      Poco::Buffer<char> early(0);
      answer->dialled.session->drainBuffer(early);
      answer->dialled.session->detachSocket();
      return Upgraded{answer->dialled.socket, std::string(early.begin(), early.size())};
    }
    std::string text;
    Poco::StreamCopier::copyToString(*answer->body, text);
    return refusal_of(answer->status, answer->content_type, text, source).error;
  } catch (const Poco::Exception& error) {
    return network_failure(source, error);
  }
}

}  // namespace flynn::cli
