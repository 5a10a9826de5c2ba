#include "system_app_mirror.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <map>

#include "node_plugins.h"
#include "system_apps.h"
#include "system_deployments.h"
#include "system_releases.h"

namespace flynn::controller {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{10'000}, kRetry{500};

/// Slot -> the deployment that is not finished.
Outcome<std::map<std::string, std::string>> unfinished(Context& context) {
  auto locks = context.store.range(note_key("deploying", ""));
  if (!locks) return locks.error();
  std::map<std::string, std::string> out;
  for (const Kv& lock : *locks) {
    if (std::string slot = text_of(lock.value, "plugin"); !slot.empty()) out[slot] = text_of(lock.value, "deployment");
  }
  return out;
}

Verdict tend(Context& context, const json::object& plugin, const std::map<std::string, std::string>& deployments) {
  std::string slot = text_of(plugin, "slot");
  auto app = system_app(context, slot);
  if (!app) return app.error();
  auto deployment = deployments.find(slot);
  // While one runs, what is seen on the way is nobody's release.
  if (deployment == deployments.end()) return mirror_plugin(context, *app, plugin);
  auto ended = move_plugin_deployment(context, *app, deployment->second, plugin);
  if (!ended) return ended.error();
  return std::nullopt;
}

}  // namespace

SystemAppMirror::SystemAppMirror(Context& context) : context_(context) {
  wake_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void SystemAppMirror::start() {
  if (worker_.running()) return;
  worker_.start("ctl-plugins", [this](const StopSignal& stop) { run(stop); });
}

void SystemAppMirror::wake() {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

void SystemAppMirror::run(const StopSignal& stop) {
  while (!stop.asked()) {
    bool good = true;
    if (const auto pass = context_.gate.enter()) {
      follow();
      good = round() && watch_;
    }
    wait(stop, good ? kTick : kRetry);
  }
  watch_.reset();
}

bool SystemAppMirror::round() {
  try {
    return tend_all();
  } catch (const std::exception& e) {
    context_.log.error("system_apps_failed", {{"error", e.what()}});
    return false;
  }
}

bool SystemAppMirror::tend_all() {
  auto node = node_plugins(context_);
  if (context_.stopping) return true;  // a swap waits for us
  auto deployments = unfinished(context_);
  Verdict bad;
  if (!node) bad = node.error();
  if (!bad && !deployments) bad = deployments.error();
  bool all = !bad;
  for (std::size_t i = 0; !bad && !context_.stopping && i < node->plugins.size(); ++i) {
    Verdict one = tend(context_, node->plugins[i], *deployments);
    // One plugin's trouble must not hide the others'.
    if (one && !told_of_failure_)
      context_.log.warn("system_app_not_kept", {{"slot", text_of(node->plugins[i], "slot")}, {"error", one->message}});
    all = all && !one;
  }
  if (bad && !told_of_failure_) context_.log.warn("system_apps_wait", {{"error", bad->message}});
  told_of_failure_ = !all;
  return all;
}

/// The stream is opened before the round that reads everything, so nothing is missed in between.
void SystemAppMirror::follow() {
  if (watch_) return;
  auto opened = context_.door.call("flynn.node/1", "Watch", {});
  if (opened && !opened->fds.empty()) watch_.emplace(std::move(opened->fds.front()));
}

void SystemAppMirror::wait(const StopSignal& stop, milliseconds pause) {
  std::array<pollfd, 3> entries{{{stop.fd(), POLLIN, 0}, {wake_fd_.get(), POLLIN, 0}, {-1, POLLIN, 0}}};
  if (watch_) entries[2].fd = watch_->fd();
  ::poll(entries.data(), entries.size(), static_cast<int>(pause.count()));
  std::uint64_t drained = 0;
  [[maybe_unused]] ssize_t got = ::read(wake_fd_.get(), &drained, sizeof drained);
  // What the lines say is read anew by the next round; that there are some is all that matters.
  while (watch_ && entries[2].revents != 0) {
    auto status = watch_->next(Deadline::after(milliseconds(1)));
    if (status && *status == LineReader::Status::timeout) break;
    if (!status || *status == LineReader::Status::end) watch_.reset();
  }
}

}  // namespace flynn::controller
