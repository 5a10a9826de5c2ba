#include "platform_api.h"

#include <fcntl.h>

#include <cerrno>

#include "flynn/sdk/store.h"

namespace flynn::builder {
namespace {

constexpr auto kCallTime = 30s;
constexpr auto kUploadTime = 300s;
constexpr auto kLogTime = 3s;

Code code_of(std::int64_t status) {
  switch (status) {
    case 400:
      return Code::invalid_argument;
    case 404:
      return Code::not_found;
    case 409:
      return Code::conflict;
    case 503:
      return Code::unavailable;
    default:
      return Code::internal;
  }
}

}  // namespace

Result<json::value> PlatformApi::controller(std::string_view method, std::string_view path, json::value body) {
  json::object request{{"method", method}, {"path", path}};
  if (!body.is_null()) request["body"] = std::move(body);
  auto answer = door_.call("flynn.controller/1", "Request", request, kCallTime);
  if (!answer) return answer.error().context("controller");
  std::int64_t status = int_or(answer->body, "status");
  json::value* document = answer->body.if_contains("body");
  if (status == 200) return document != nullptr ? std::move(*document) : json::value();
  std::string words = document != nullptr && document->is_object() ? string_or(document->get_object(), "message") : "";
  return Error{code_of(status), "controller: " + std::string(method) + " " + std::string(path) + ": " +
                                    (words.empty() ? "status " + std::to_string(status) : words)};
}

Result<std::optional<json::object>> PlatformApi::find(std::string_view path) {
  auto body = controller("GET", path);
  if (!body && body.error().code == Code::not_found) return std::optional<json::object>();
  if (!body) return body.error();
  if (!body->is_object()) return Error{Code::internal, "controller: GET " + std::string(path) + ": no object"};
  return std::optional<json::object>(std::move(body->get_object()));
}

Result<json::object> PlatformApi::post(std::string_view path, json::object body) {
  auto answer = controller("POST", path, std::move(body));
  if (!answer) return answer.error();
  if (!answer->is_object()) return Error{Code::internal, "controller: POST " + std::string(path) + ": no object"};
  return std::move(answer->get_object());
}

Result<json::array> PlatformApi::stack(std::string_view name) {
  auto config = StoreClient(door_).get("cluster/config");
  if (!config) return config.error().context("read cluster/config");
  const json::object* document = *config && (*config)->value.is_object() ? &(*config)->value.get_object() : nullptr;
  const json::object* stacks = document != nullptr ? find_object(*document, "stacks") : nullptr;
  const json::array* layers = stacks != nullptr ? find_array(*stacks, name) : nullptr;
  if (layers == nullptr || layers->empty()) {
    return Error{Code::failed_precondition,
                 "the cluster has no stack '" + std::string(name) + "'; bootstrap it with stacks/build"};
  }
  return *layers;
}

Result<void> PlatformApi::upload(const Slug& slug, const std::string& file) {
  UniqueFd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source) return errno_error(errno, "open the slug");
  json::object request{{"name", "layers/" + slug.id + ".squashfs"}, {"sha512_256", slug.id}};
  auto put = door_.call("flynn.blobstore/1", "Put", request, Deadline::after(kUploadTime), {source.get()});
  return put ? Result<void>() : put.error().context("upload the slug");
}

std::vector<std::string> PlatformApi::last_lines(const std::string& app_id, const std::string& job_id, int count) {
  std::vector<std::string> lines;
  json::object request{{"app_id", app_id}, {"lines", count}};
  if (!job_id.empty()) request["job_id"] = job_id;
  auto reply = door_.call("flynn.logs/1", "Read", request, kLogTime);
  if (!reply || reply->fds.empty()) return lines;
  LineReader reader(std::move(reply->fds[0]));
  Deadline deadline = Deadline::after(kLogTime);
  for (;;) {
    auto status = reader.next(deadline);
    if (!status || *status != LineReader::Status::line) return lines;
    auto message = parse_json_object(reader.text());
    if (message && message->contains("msg")) lines.push_back(string_or(*message, "msg"));
  }
}

}  // namespace flynn::builder
