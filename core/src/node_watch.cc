#include "node_watch.h"

#include <poll.h>

#include <iterator>

#include "flynn/sdk/stream.h"

namespace flynn::core {
namespace {

constexpr std::size_t kWatchersMax = 64;
// One slow reader holds up the others for so long, once.
constexpr std::chrono::milliseconds kPatience{500};

bool gone(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

void NodeWatch::start() {
  {
    const std::lock_guard lock(mutex_);
    open_ = true;
  }
  worker_.start("node-watch", [this](const StopSignal& stop) { run(stop); });
}

void NodeWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  worker_.ask_stop();
  changed_.notify_all();
  worker_.stop();
  const std::lock_guard lock(mutex_);
  watchers_.clear();
  arriving_.clear();
}

void NodeWatch::touched() {
  {
    const std::lock_guard lock(mutex_);
    touched_ = true;
  }
  changed_.notify_all();
}

void NodeWatch::tell(json::object line) {
  {
    const std::lock_guard lock(mutex_);
    lines_.push_back(json::serialize(line) + "\n");
  }
  changed_.notify_all();
}

Result<UniqueFd> NodeWatch::open() {
  auto stream = make_stream();
  if (!stream) return stream.error();
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return Error{Code::unavailable, "the node is ending"};
    if (count_ + arriving_.size() >= kWatchersMax)
      return Error{Code::resource_exhausted,
                   std::to_string(kWatchersMax) + " streams watch the node already: close some"};
    arriving_.push_back({std::move(stream->first)});
  }
  changed_.notify_all();
  return std::move(stream->second);
}

std::string NodeWatch::news(const json::array& all) {
  std::string text;
  for (const auto& facts : all) {
    const auto slot = string_or(facts.get_object(), "slot");
    auto now = json::serialize(facts);
    if (auto& before = told_[slot]; before != now) {
      text += "{\"plugin\":" + now + "}\n";
      before = std::move(now);
    }
  }
  return text;
}

void NodeWatch::round(std::vector<std::string> lines) {
  const auto all = facts_();
  std::string text = news(all);
  for (const auto& line : lines) text += line;
  const std::string whole = json::serialize(json::object{{"plugins", all}}) + "\n";
  std::erase_if(watchers_, [&](Watcher& watcher) {
    if (gone(watcher.fd.get())) return true;
    std::string due = watcher.greeted ? text : whole;
    if (!watcher.greeted)
      for (const auto& line : lines) due += line;
    watcher.greeted = true;
    return !due.empty() && !write_all(watcher.fd.get(), due, Deadline::after(kPatience)).ok();
  });
}

void NodeWatch::run(const StopSignal& stop) {
  while (!stop.asked()) {
    std::vector<std::string> lines;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop.asked() || touched_ || !lines_.empty() || !arriving_.empty(); });
      if (stop.asked()) return;
      touched_ = false;
      lines = std::exchange(lines_, {});
      std::move(arriving_.begin(), arriving_.end(), std::back_inserter(watchers_));
      arriving_.clear();
      count_ = watchers_.size();
    }
    round(std::move(lines));
    const std::lock_guard lock(mutex_);
    count_ = watchers_.size();
  }
}

}  // namespace flynn::core
