#include "discoverd_client.h"

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>
#include <openssl/evp.h>

#include <array>
#include <cstdlib>
#include <istream>

namespace flynn::sdutil {
namespace {

namespace net = Poco::Net;
const Poco::Timespan kTimeout(10, 0), kSilenceMax(90, 0);  // seconds; a stream has a sign of life every 30 s

std::string escaped(const std::string& text) {
  std::string out;
  Poco::URI::encode(text, "/?#%", out);
  return out;
}

std::string path_of(const std::string& service) { return "/services/" + escaped(service); }

// discovery's own words where it has some.
std::string words_of(const std::string& body, int status) {
  const auto document = parse_json_object(body);
  const auto message = document ? string_or(*document, "message") : std::string();
  return message.empty() ? "unexpected status " + std::to_string(status) : message;
}

}  // namespace

std::string instance_id(const std::string& proto, const std::string& addr) {
  const std::string text = proto + "-" + addr;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  ::EVP_Digest(text.data(), text.size(), digest.data(), &size, ::EVP_md5(), nullptr);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) (out += kHex[digest.at(i) >> 4]) += kHex[digest.at(i) & 15];
  return out;
}

Result<DiscoverdClient> DiscoverdClient::from_environment() {
  const char* value = std::getenv("DISCOVERD");
  std::string text = value == nullptr || *value == '\0' ? "http://127.0.0.1:1111" : value;
  text = text.substr(0, text.find(','));
  if (text == "none") return Error{Code::invalid_argument, "DISCOVERD is \"none\": there is nothing to ask"};
  if (text.find("://") == std::string::npos) text = "http://" + text;
  try {
    const Poco::URI uri(text);
    if (uri.getScheme() != "http" || uri.getHost().empty()) throw Poco::SyntaxException(text);
    DiscoverdClient client;
    client.host_ = uri.getHost();
    client.port_ = uri.getPort() == 80 && text.find(":80") == std::string::npos ? 1111 : uri.getPort();
    return client;
  } catch (const Poco::Exception&) {
    return Error{Code::invalid_argument, "DISCOVERD=" + text + " is no http://HOST:PORT"};
  }
}

Result<DiscoverdClient::Answer> DiscoverdClient::send(const std::string& method, const std::string& path,
                                                      const std::string& body) const {
  try {
    net::HTTPClientSession session(host_, port_);
    session.setTimeout(kTimeout);
    net::HTTPRequest request(method, path, net::HTTPMessage::HTTP_1_1);
    request.set("Accept", "application/json");
    request.setContentType("application/json");
    request.setContentLength(static_cast<std::streamsize>(body.size()));
    session.sendRequest(request) << body;
    net::HTTPResponse response;
    Answer answer;
    Poco::StreamCopier::copyToString(session.receiveResponse(response), answer.body);
    answer.status = response.getStatus();
    return answer;
  } catch (const Poco::Exception& error) {
    return Error{Code::unavailable, text() + " does not answer: " + error.displayText()};
  }
}

Result<void> DiscoverdClient::expect(const std::string& method, const std::string& path, const std::string& body,
                                     int other_good) const {
  auto answer = send(method, path, body);
  if (!answer) return answer.error();
  if (answer->status == 200 || answer->status == other_good) return {};
  return Error{answer->status >= 500 ? Code::unavailable : Code::invalid_argument,
               text() + ": " + words_of(answer->body, answer->status)};
}

Result<void> DiscoverdClient::ping() const { return expect("GET", "/ping", "", 0); }

Result<void> DiscoverdClient::make_service(const std::string& name) const {
  return expect("PUT", path_of(name), "{}", 409);
}

Result<void> DiscoverdClient::put(const std::string& service, const Instance& instance) const {
  const json::object body{
      {"id", instance.id}, {"addr", instance.addr}, {"proto", instance.proto}, {"meta", json::object{}}};
  return expect("PUT", path_of(service) + "/instances/" + instance.id, json::serialize(body), 0);
}

Result<void> DiscoverdClient::remove(const std::string& service, const std::string& id) const {
  return expect("DELETE", path_of(service) + "/instances/" + id, "", 404);
}

Result<std::vector<Instance>> DiscoverdClient::instances(const std::string& service) const {
  auto answer = send("GET", path_of(service) + "/instances");
  if (!answer) return answer.error();
  if (answer->status == 404) return std::vector<Instance>{};
  const auto document = parse_json(answer->body);
  if (answer->status != 200 || !document || !document->is_array())
    return Error{Code::internal, text() + ": " + words_of(answer->body, answer->status)};
  std::vector<Instance> found;
  for (const auto& one : document->get_array())
    if (const auto* object = one.if_object())
      found.push_back({string_or(*object, "id"), string_or(*object, "addr"), string_or(*object, "proto")});
  return found;
}

Result<void> DiscoverdClient::watch_leader(const std::string& service,
                                           const std::function<void(const std::string& addr)>& leader) const {
  try {
    net::HTTPClientSession session(host_, port_);
    session.setTimeout(kTimeout, kTimeout, kSilenceMax);
    net::HTTPRequest request("GET", path_of(service), net::HTTPMessage::HTTP_1_1);
    request.set("Accept", "text/event-stream");
    session.sendRequest(request);
    net::HTTPResponse response;
    auto& stream = session.receiveResponse(response);
    if (response.getStatus() != 200)
      return Error{Code::unavailable, text() + ": unexpected status " + std::to_string(response.getStatus())};
    std::string known;
    bool said = false;
    for (std::string line; std::getline(stream, line);) {
      if (!line.starts_with("data: ")) continue;
      const auto event = parse_json_object(line.substr(6));
      if (!event) continue;
      const auto kind = string_or(*event, "kind");
      const auto* instance = find_object(*event, "instance");
      if (kind == "leader") known = instance == nullptr ? "" : string_or(*instance, "addr");
      // Nobody says who leads when the last one goes.
      if (kind == "down" && instance != nullptr && string_or(*instance, "addr") == known) known.clear();
      said = said || kind == "current";
      if (said) leader(known);
    }
    return Error{Code::unavailable, text() + " ended the stream"};
  } catch (const Poco::Exception& error) {
    return Error{Code::unavailable, text() + " does not answer: " + error.displayText()};
  }
}

}  // namespace flynn::sdutil
