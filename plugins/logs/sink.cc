#include "sink.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <set>

namespace flynn::logs {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::size_t kLineBytesMax = 4 << 20;  // more than the longest message with every byte escaped
constexpr std::chrono::milliseconds kRetryFirst = 1s, kRetryMax = 10s;
constexpr std::chrono::milliseconds kSaveEvery = 1s;
constexpr std::chrono::milliseconds kConfirmEvery = 200ms;  // an acknowledgement wakes nobody

// A chunk of whole lines from `position`, which is moved to where the chunk really begins.
std::string lines_at(const AppLog& log, std::uint64_t& position) {
  for (std::size_t limit = kChunkBytes;; limit *= 2) {
    std::string text = log.read(position, limit);
    const auto newline = text.rfind('\n');
    if (newline != std::string::npos) {
      text.resize(newline + 1);
      return text;
    }
    if (text.size() < limit || limit >= kLineBytesMax) return text;  // no line, whatever it is
  }
}

Message note_of_dropped(const std::string& app_id, std::uint64_t bytes) {
  Message note;
  note.app_id = app_id;
  note.source = "platform";
  note.stream = "stderr";
  note.timestamp_us = now_us();
  note.msg = std::to_string(bytes) + " bytes of log were dropped while this sink was away";
  return note;
}

}  // namespace

Sink::Sink(std::string id, SinkConfig config, std::string positions_path, LogStore& store, const AppNames& names,
           Log& log)
    : id_(std::move(id)),
      config_(std::move(config)),
      store_(store),
      names_(names),
      log_(log),
      positions_(std::move(positions_path)),
      retry_(kRetryFirst) {}

void Sink::start(const std::string& thread_name) {
  gate_.open();
  worker_.start(thread_name, [this](const StopSignal& stop) {
    if (const auto pass = gate_.enter()) run(stop);
  });
}

void Sink::end() {
  gate_.close();
  worker_.ask_stop();
}

SinkState Sink::state() const {
  SinkState state;
  {
    const std::lock_guard lock(mutex_);
    state.connected = connected_;
    state.error = error_;
    if (!begun_) return state;
  }
  const auto positions = positions_.confirmed();
  for (const auto& app_id : store_.apps()) {
    const auto log = names_.name_of(app_id) ? store_.find(app_id) : nullptr;
    if (!log) continue;
    const auto found = positions.find(app_id);
    const auto end = log->end(), position = found == positions.end() ? 0 : found->second;
    state.behind_bytes += end - std::min(end, std::max(position, log->begin()));
  }
  return state;
}

// A new sink begins at the end, and that is written down before its first connection: a crash must not move it.
// False: stopped before it was known.
bool Sink::begin(const StopSignal& stop) {
  auto known = positions_.load();
  if (!known)
    log_.warn("sink_positions_lost",
              {{"sink", id_}, {"error", known.error().message}, {"instead", "sends all that is kept"}});
  if (!known || !*known) {
    for (const auto& app_id : store_.apps()) {
      if (stop.asked()) return false;
      if (const auto log = store_.find(app_id)) positions_.set(app_id, known ? log->end() : log->begin());
    }
    save();
  }
  const std::lock_guard lock(mutex_);
  begun_ = true;
  return true;
}

void Sink::run(const StopSignal& stop) {
  if (!begin(stop)) return;
  while (!stop.asked()) {
    settle();
    if (!connection_ && !reach(stop)) continue;
    wake_.clear();
    auto more = send_round(stop);
    if (!more) {
      lose(more.error(), stop);
    } else if (!*more) {
      settle();
      rest(stop);
    }
  }
  settle();
  if (positions_.unsaved()) save();
  connection_.reset();
}

bool Sink::reach(const StopSignal& stop) {
  auto opened = SinkConnection::open(config_, stop);
  if (!opened) {
    if (opened.error().code == Code::cancelled) return false;
    tell_unreachable(opened.error());
    pause(stop);
    return false;
  }
  connection_ = std::move(*opened);
  reached_at_ = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    connected_ = true;
    error_.clear();
  }
  if (told_unreachable_) log_.info("sink_reached", {{"sink", id_}, {"server", config_.endpoint()}});
  told_unreachable_ = false;
  return true;
}

// Once per outage.
void Sink::tell_unreachable(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    connected_ = false;
    error_ = error.message;
  }
  if (!told_unreachable_)
    log_.warn("sink_unreachable", {{"sink", id_}, {"server", config_.endpoint()}, {"error", error.message}});
  told_unreachable_ = true;
}

void Sink::pause(const StopSignal& stop) {
  stop.wait(static_cast<int>(retry_.count()));
  retry_ = std::min(retry_ * 2, kRetryMax);
}

void Sink::lose(const Error& error, const StopSignal& stop) {
  if (error.code == Code::cancelled) return;
  // A server that takes connections only to close them is as good as away.
  if (Clock::now() - reached_at_ >= kRetryMax) retry_ = kRetryFirst;
  positions_.confirm(connection_->delivered());
  connection_.reset();
  positions_.rewind();
  tell_unreachable(error);
  settle();
  pause(stop);
}

// An app's log may have been deleted and begun anew: then its positions mean nothing.
void Sink::notice_new_logs() {
  std::set<std::string> there;
  for (const auto& app_id : store_.apps()) {
    auto log = store_.find(app_id);
    if (!log || log->erased()) continue;
    there.insert(app_id);
    auto& known = logs_[app_id];
    if (known && known != log) positions_.forget(app_id);
    known = std::move(log);
  }
  std::erase_if(logs_, [&](const auto& entry) { return !there.contains(entry.first); });
  positions_.forget_others_than(there);
}

// One chunk of each log in turn, so that an app that shouts does not keep others waiting.
Result<bool> Sink::send_round(const StopSignal& stop) {
  notice_new_logs();
  bool more = false;
  for (const auto& [app_id, log] : logs_) {
    if (stop.asked()) return false;
    const auto name = names_.name_of(app_id);
    if (!name) continue;
    auto sent = send_some(app_id, *name, *log);
    if (!sent) return sent;
    more = more || *sent;
  }
  return more;
}

// True when there may be more.
Result<bool> Sink::send_some(const std::string& app_id, const std::string& name, const AppLog& log) {
  const auto wanted = positions_.next(app_id);
  // After a power failure a log may end before what was sent of it: what comes there now is new.
  if (const auto end = log.end(); wanted > end) positions_.set(app_id, end);
  auto position = positions_.next(app_id);
  const auto before = position;
  const auto lines = lines_at(log, position);
  if (lines.empty()) return false;
  std::string frames;
  if (position > before) frames += syslog_frame(note_of_dropped(app_id, position - before), name, config_.style);
  for (std::size_t begin = 0; begin < lines.size();) {
    const auto end = std::min(lines.find('\n', begin), lines.size());
    if (auto frame = syslog_frame_of_line(std::string_view(lines).substr(begin, end - begin), name, config_.style))
      frames += *frame;
    begin = end + 1;
  }
  if (auto written = connection_->write(frames); !written) return written.error();
  positions_.sent(app_id, position + lines.size(), connection_->written());
  return true;
}

void Sink::settle() {
  if (connection_) {
    positions_.confirm(connection_->delivered());
    if (retry_ > kRetryFirst && Clock::now() - reached_at_ >= kRetryMax) retry_ = kRetryFirst;
  }
  if (positions_.unsaved() && Clock::now() >= save_at_) save();
}

void Sink::save() {
  save_at_ = Clock::now() + kSaveEvery;
  auto saved = positions_.save();
  if (!saved && !told_unsaved_)
    log_.warn("sink_positions_not_saved",
              {{"sink", id_}, {"error", saved.error().message}, {"instead", "a restart sends some lines again"}});
  told_unsaved_ = !saved;
}

// Until there is something new, the peer closes, or a position can be confirmed or saved.
void Sink::rest(const StopSignal& stop) {
  using std::chrono::milliseconds;
  milliseconds left = milliseconds::max();
  if (positions_.awaits_confirmation()) left = kConfirmEvery;
  if (positions_.unsaved())
    left = std::clamp(std::chrono::ceil<milliseconds>(save_at_ - Clock::now()), milliseconds(0), left);
  std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake_.fd(), POLLIN, 0},
                                pollfd{connection_->fd(), POLLIN | POLLRDHUP, 0}};
  ::poll(entries.data(), entries.size(), left == milliseconds::max() ? -1 : static_cast<int>(left.count()));
  if (entries[2].revents == 0) return;
  if (auto alive = connection_->check(); !alive) lose(alive.error(), stop);
}

}  // namespace flynn::logs
