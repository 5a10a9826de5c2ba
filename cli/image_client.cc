#include "image_client.h"

#include <Poco/Net/HTTPBasicCredentials.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>

#include <vector>

#include "documents.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kChunk = 256U << 10U;
// The cluster packs the layer before it answers.
const Poco::Timespan kAnswerTimeout(1800, 0);

Error lost(const std::string& source, const std::string& why) {
  return Error{source + ": the connection was lost: " + why, "Try again: layers that have arrived are not sent twice.",
               Failure::kRefused, ErrorCode::kConnectionLost};
}

Status send_body(std::ostream& out, LayerStream& tar, const std::function<void(std::int64_t)>& progress) {
  std::vector<char> chunk(kChunk);
  std::int64_t sent = 0;
  while (out.good()) {
    const auto count = tar.read(chunk.data(), chunk.size());
    if (!count) return count.error();
    if (*count == 0) break;
    out.write(chunk.data(), static_cast<std::streamsize>(*count));
    sent += static_cast<std::int64_t>(*count);
    progress(sent);
  }
  out.flush();
  return Done{};
}

}  // namespace

Endpoint images_of(const Cluster& cluster) {
  std::string url = cluster.image_url;
  if (url.empty()) {
    Poco::URI beside(cluster.controller_url);
    std::string host = beside.getHost();
    if (host.starts_with("controller.")) host.erase(0, 11);
    beside.setHost("images." + host);
    url = beside.toString();
  }
  return {url, cluster.key, cluster.tls_pin};
}

Result<std::optional<json::value>> ImageClient::layer(const std::string& sha256) {
  auto found = client_.get("/layer/" + sha256);
  if (!found && found.error().kind == Failure::kNotFound) return std::optional<json::value>();
  if (!found) return found.error();
  return std::optional(std::move(*found));
}

Result<json::value> ImageClient::add_artifact(const json::value& manifest) {
  return client_.post("/artifact", manifest);
}

Result<json::value> ImageClient::add_layer(const std::string& sha256, LayerStream& tar,
                                           const std::function<void(std::int64_t)>& progress) {
  const std::string source = "POST /layer/" + sha256;
  auto dialled = dial(endpoint_);
  if (!dialled) return dialled.error();
  try {
    Poco::Net::HTTPRequest http("POST", "/layer/" + sha256, Poco::Net::HTTPMessage::HTTP_1_1);
    http.setHost(dialled->host_header);
    http.setContentType("application/octet-stream");
    http.setKeepAlive(false);
    if (tar.size() >= 0) {
      http.setContentLength64(tar.size());
    } else {
      http.setChunkedTransferEncoding(true);
    }
    Poco::Net::HTTPBasicCredentials("", endpoint_.key).authenticate(http);
    if (auto sent = send_body(dialled->session->sendRequest(http), tar, progress); !sent) return sent.error();
    // A refusal comes while the body is still being sent, which then fails: the answer says more.
    dialled->socket.setReceiveTimeout(kAnswerTimeout);
    Poco::Net::HTTPResponse response;
    std::istream& body = dialled->session->receiveResponse(response);
    std::string text;
    Poco::StreamCopier::copyToString(body, text);
    if (response.getStatus() == Poco::Net::HTTPResponse::HTTP_OK) return parse_json(source, text);
    return refusal_of(static_cast<int>(response.getStatus()), response.getContentType(), text, source).error;
  } catch (const Poco::Exception& error) {
    return lost(source, error.displayText());
  }
}

}  // namespace flynn::cli
