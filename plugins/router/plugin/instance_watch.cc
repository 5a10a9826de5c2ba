#include "plugin/instance_watch.h"

#include <algorithm>
#include <utility>

#include "flynn/sdk/stream.h"

namespace flynn::router {
namespace {

constexpr int kRetryFirstMs = 20;
constexpr int kRetryMaxMs = 2000;

InstanceNews parse_news(const json::object& line, std::string_view kind) {
  InstanceNews news;
  news.up = kind != "down";
  news.service = string_or(line, "service");
  if (const auto* instance = find_object(line, "instance")) {
    news.id = string_or(*instance, "id");
    news.addr = string_or(*instance, "addr");
    if (news.service.empty()) news.service = string_or(*instance, "service");
  }
  return news;
}

}  // namespace

void InstanceWatch::start(const std::string& thread_name) {
  worker_.start(thread_name, [this](const StopSignal& stop) { run(stop); });
}

Result<bool> InstanceWatch::follow(const StopSignal& stop) {
  auto reply = door_.call("flynn.discovery/1", "Watch", {{"service", "*"}}, 5s);
  if (!reply) return reply.error();
  if (reply->fds.empty()) return Error{Code::internal, "the watch has no stream"};
  LineReader reader(std::move(reply->fds.front()));
  std::vector<InstanceNews> first;
  std::vector<LeaderNews> leaders;
  bool current = false;
  while (true) {
    auto status = reader.next(Deadline::none(), stop.fd());
    if (!status) return status.error();
    if (*status != LineReader::Status::line) return current;
    auto line = parse_json_object(reader.text());
    if (!line) return line.error();
    if (auto error = stream_error(*line)) return *error;
    const auto kind = string_or(*line, "kind");
    if (kind == "current") {
      current = true;
      table_.replace_instances(std::exchange(first, {}), std::exchange(leaders, {}));
    } else if (kind == "leader") {
      LeaderNews news{string_or(*line, "service"), string_or(*line, "id")};
      if (current)
        table_.change_leader(news);
      else
        leaders.push_back(std::move(news));
    } else if (kind == "up" || kind == "update" || kind == "down") {
      auto news = parse_news(*line, kind);
      if (current)
        table_.change_instance(news);
      else if (news.up)
        first.push_back(std::move(news));
    }
  }
}

void InstanceWatch::run(const StopSignal& stop) {
  int retry_ms = kRetryFirstMs;
  while (!stop.asked()) {
    const auto result = follow(stop);
    if (stop.asked()) return;
    if (!result) log_.warn("instance_watch_waits", {{"error", result.error().message}, {"retry_ms", retry_ms}});
    retry_ms = result && *result ? kRetryFirstMs : std::min(retry_ms * 2, kRetryMaxMs);
    stop.wait(retry_ms);
  }
}

}  // namespace flynn::router
