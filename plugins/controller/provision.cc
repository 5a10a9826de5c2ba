/// The two ways to a provider: the door, and HTTP.
#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/URI.h>

#include <sstream>

#include "providers.h"
#include "validation.h"

namespace flynn::controller {
namespace {

// A database server may have to be started first.
constexpr std::chrono::milliseconds kProvisionTimeout{60'000};
constexpr std::size_t kAnswerBytesMax = 1 << 20;

struct HttpAnswer {
  int status = 0;
  std::string body;
};

Outcome<HttpAnswer> ask_http(const std::string& method, const std::string& url, const std::string& body) {
  try {
    Poco::URI uri(url);
    Poco::Net::HTTPClientSession session(uri.getHost(), uri.getPort());
    session.setTimeout(Poco::Timespan(kProvisionTimeout.count() * 1000));
    Poco::Net::HTTPRequest request(method, uri.getPathAndQuery().empty() ? "/" : uri.getPathAndQuery(), "HTTP/1.1");
    request.setContentType("application/json");
    request.setContentLength(static_cast<std::streamsize>(body.size()));
    session.sendRequest(request) << body;
    Poco::Net::HTTPResponse response;
    std::istream& stream = session.receiveResponse(response);
    HttpAnswer answer{response.getStatus(), {}};
    char chunk[4096];
    while (stream.good() && answer.body.size() < kAnswerBytesMax) {
      stream.read(chunk, sizeof chunk);
      answer.body.append(chunk, static_cast<std::size_t>(stream.gcount()));
    }
    return answer;
  } catch (const Poco::Exception& e) {
    return unknown_error("the provider at " + url + " did not answer: " + e.displayText());
  }
}

Outcome<Provisioned> read_provisioned(const json::object& body) {
  Provisioned out{text_of(body, "id"), object_of(body, "env")};
  if (out.external_id.empty()) return unknown_error("the provider's answer has no id");
  if (Verdict bad = check_env("env", out.env)) return unknown_error("the provider's answer: " + bad->message);
  return out;
}

}  // namespace

Outcome<Provisioned> provision(Context& context, const std::string& url, const json::object& config) {
  if (url.starts_with("http://")) {
    auto answer = ask_http("POST", url, json::serialize(config));
    if (!answer) return answer.error();
    if (answer->status != 200) return unknown_error("the provider answered " + std::to_string(answer->status));
    auto body = parse_json_object(answer->body);
    if (!body) return unknown_error("the provider's answer: " + body.error().message);
    return read_provisioned(*body);
  }
  auto reply = context.door.call(url, "Provision", {{"config", config}}, kProvisionTimeout);
  if (!reply) return unknown_error("provision by " + url + ": " + reply.error().message);
  return read_provisioned(reply->body);
}

Verdict deprovision(Context& context, const std::string& url, const std::string& external_id) {
  if (url.starts_with("http://")) {
    Poco::URI uri(url);
    uri.addQueryParameter("id", external_id);
    auto answer = ask_http("DELETE", uri.toString(), "");
    if (!answer) return answer.error();
    bool gone = answer->status == 200 || answer->status == 404;
    if (!gone) return unknown_error("the provider answered " + std::to_string(answer->status));
    return std::nullopt;
  }
  auto reply = context.door.call(url, "Deprovision", {{"id", external_id}}, kProvisionTimeout);
  if (reply || reply.error().code == Code::not_found) return std::nullopt;
  return unknown_error("deprovision by " + url + ": " + reply.error().message);
}

}  // namespace flynn::controller
