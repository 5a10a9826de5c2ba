#include "hidden_secrets.h"

#include <algorithm>

#include "answer.h"
#include "document.h"

namespace flynn::controller {
namespace {

constexpr std::string_view kData = "data: ";

/// "data: {…}" lines and blank ones, as sse_data writes them; what is no event stays as it is.
std::string without_secrets(std::string_view events) {
  std::string out;
  while (!events.empty()) {
    std::string_view line = events.substr(0, events.find('\n'));
    events.remove_prefix(std::min(events.size(), line.size() + 1));
    if (!line.starts_with(kData)) {
      out += std::string(line) + "\n";
      continue;
    }
    auto parsed = parse_json(line.substr(kData.size()));
    if (!parsed) continue;  // what can't be read can't be cleared: better nothing than a secret
    hide_secrets(*parsed);
    out += std::string(kData) + json::serialize(*parsed) + "\n";
  }
  return out;
}

/// Not a process type of that name, which has more than texts.
bool is_environment(const json::value& value) {
  if (!value.is_object()) return false;
  const json::object& object = value.get_object();
  return std::all_of(object.begin(), object.end(), [](const auto& entry) { return entry.value().is_string(); });
}

class HidingFeed : public http::Feed {
 public:
  explicit HidingFeed(std::shared_ptr<http::Feed> inner) : inner_(std::move(inner)) {}
  bool take(std::string& out) override {
    std::string taken;  // a feed gives whole events
    const bool more = inner_->take(taken);
    out += without_secrets(taken);
    return more;
  }

 private:
  const std::shared_ptr<http::Feed> inner_;
};

}  // namespace

void hide_secrets(json::value& document) {
  if (document.is_array()) {
    for (json::value& item : document.get_array()) hide_secrets(item);
    return;
  }
  if (!document.is_object()) return;
  json::object& object = document.get_object();
  for (auto& entry : object) {
    const bool private_key =
        entry.key() == "tls_key" || (entry.key() == "key" && (object.contains("cert") || object.contains("ca_cert")));
    if (entry.key() == "env" && is_environment(entry.value())) {
      for (auto& variable : entry.value().get_object()) variable.value() = kHidden;
    } else if (private_key && entry.value().is_string()) {
      if (!entry.value().get_string().empty()) entry.value() = kHidden;
    } else {
      hide_secrets(entry.value());
    }
  }
}

void hide_secrets(HttpResponse& response) {
  if (response.content_type.starts_with("application/json")) {
    auto parsed = parse_json(response.body);
    if (parsed) {
      hide_secrets(*parsed);
      response.body = json::serialize(*parsed);
    } else if (!response.body.empty()) {
      response = error_answer(unknown_error("an answer that can't be cleared of secrets: " + parsed.error().message));
    }
  }
  if (response.stream == nullptr || response.stream->feed == nullptr) return;
  const std::size_t head_end = response.stream->head.find("\r\n\r\n");
  if (head_end != std::string::npos) {
    const std::string backlog = response.stream->head.substr(head_end + 4);
    response.stream->head.erase(head_end + 4);
    response.stream->head += without_secrets(backlog);
  }
  response.stream->feed = std::make_shared<HidingFeed>(std::move(response.stream->feed));
}

}  // namespace flynn::controller
