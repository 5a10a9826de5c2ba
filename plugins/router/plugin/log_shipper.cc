#include "plugin/log_shipper.h"

#include <map>
#include <string>
#include <utility>

namespace flynn::router {
namespace {

constexpr int kPeriodMs = 1'000;
constexpr std::size_t kMessagesMax = 1'000;  // of one Append

}  // namespace

void LogShipper::start(const std::string& thread_name) {
  worker_.start(thread_name, [this](const StopSignal& stop) {
    while (!stop.wait(kPeriodMs)) ship();
  });
}

void LogShipper::ship() {
  std::map<std::string, json::array, std::less<>> by_app;
  const auto append = [&](const std::string& app, json::array messages) {
    const auto count = messages.size();
    const auto reply = door_.call("flynn.logs/1", "Append", {{"app_id", app}, {"messages", std::move(messages)}}, 2s);
    if (!reply) dropped_ += count;
  };
  plane_.collect_log([&](const LogLine& line) {
    auto found = by_app.find(line.app_id);
    if (found == by_app.end()) found = by_app.emplace(std::string(line.app_id), json::array{}).first;
    found->second.push_back({{"app_id", line.app_id},
                             {"timestamp", line.timestamp_us},
                             {"source", "router"},
                             {"stream", "stdout"},
                             {"process_type", "router"},
                             {"job_id", ""},
                             {"host_id", ""},
                             {"msg", line.text}});
    if (found->second.size() == kMessagesMax) append(found->first, std::exchange(found->second, {}));
  });
  for (auto& [app, messages] : by_app)
    if (!messages.empty()) append(app, std::move(messages));
  // A plane that has ended has no totals any more.
  const auto dropped = dropped_ + plane_.totals().log_lines_dropped;
  if (dropped <= reported_) return;
  log_.warn("access_log_lines_dropped", {{"lines", dropped - reported_}});
  reported_ = dropped;
}

}  // namespace flynn::router
