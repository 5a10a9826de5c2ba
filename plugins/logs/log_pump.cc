#include "log_pump.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "flynn/sdk/stream.h"

namespace flynn::logs {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr int kRoundsMax = 8;  // chunks for one reader before the next has its turn

}  // namespace

struct LogPump::Reader {
  ReadRequest request;
  std::shared_ptr<AppLog> log;
  UniqueFd fd;
  std::uint64_t position = 0;
  std::uint64_t history_end = 0;  // up to here slowness is no reason to skip
  std::string rest;               // a line whose end was not read yet
  std::string out;                // to be sent
  std::size_t sent = 0;
  bool blocked = false;
};

LogPump::LogPump() = default;

LogPump::~LogPump() { stop(); }

void LogPump::prepare() {
  worker_.start("logs-pump", [this](const StopSignal& stop) { run(stop); });
}

void LogPump::activate() {
  bool anybody = false;
  {
    const std::lock_guard lock(mutex_);
    ended_ = false;
    anybody = !arrived_.empty();
  }
  gate_.open();
  if (anybody) wake();
}

void LogPump::quiesce() {
  gate_.close();
  (void)gate_.wait_empty();
  const bool anybody = !served_.empty();
  served_.clear();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    arrived_.clear();
    readers_ = followers_ = 0;
  }
  if (anybody) wake();  // while the thread waits for events of a stream the system keeps it open
}

void LogPump::stop() {
  worker_.stop();
  quiesce();
}

std::size_t LogPump::followers() {
  const std::lock_guard lock(mutex_);
  return followers_;
}

Result<UniqueFd> LogPump::open(ReadRequest request, std::shared_ptr<AppLog> log) {
  auto stream = make_stream();
  if (!stream) return stream.error();
  auto reader = std::make_unique<Reader>();
  reader->fd = std::move(stream->first);
  if (log) {
    reader->history_end = log->end();
    reader->position = log->position_of_last(request.lines, request.filter);
  }
  reader->log = std::move(log);
  reader->request = std::move(request);
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return std::move(stream->second);
    if (readers_ >= kReadersMax)
      return Error{Code::resource_exhausted, "512 readers of logs are the limit; close one first"};
    ++readers_;
    if (reader->request.follow) ++followers_;
    arrived_.push_back(std::move(reader));
  }
  wake();
  return std::move(stream->second);
}

void LogPump::skip_if_behind(Reader& reader) {
  const auto end = reader.log->end(), begin = reader.log->begin();
  const bool lost = reader.position < begin && reader.position != 0;
  if (!lost &&
      (!reader.request.follow || reader.position < reader.history_end || end - reader.position <= kBehindBytesMax))
    return;
  std::uint64_t missed = 0, at = std::max(reader.position, begin);
  const auto target = lost && end - begin <= kBehindBytesMax ? begin : end;
  for (std::string part; at < target; at += part.size()) {
    part = reader.log->read(at, std::min<std::uint64_t>(kReadBytes, target - at));
    if (part.empty()) break;
    missed += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
  }
  reader.position = target;
  reader.rest.clear();
  Message note;
  note.app_id = reader.request.app_id;
  note.source = "platform";
  note.stream = "stderr";
  note.timestamp_us = now_us();
  note.msg = "reading too slowly: " + (missed > 0 ? std::to_string(missed) + " messages were" : "older messages were") +
             " left out here";
  reader.out += line_of(note);
}

// Takes the next chunk of the log into `out`. False at the end.
bool LogPump::fill(Reader& reader) {
  if (!reader.log) return false;
  skip_if_behind(reader);
  std::size_t limit = kReadBytes;
  if (!reader.request.follow) {
    if (reader.position >= reader.history_end) return false;
    limit = std::min<std::uint64_t>(limit, reader.history_end - reader.position);
  }
  const std::string part = reader.log->read(reader.position, limit);
  if (part.empty()) return false;
  reader.position += part.size();
  reader.rest += part;
  std::size_t begin = 0;
  std::string storage;
  for (auto end = reader.rest.find('\n'); end != std::string::npos; end = reader.rest.find('\n', begin)) {
    const auto line = std::string_view(reader.rest).substr(begin, end - begin);
    begin = end + 1;
    if (!reader.request.filter.passes(line)) continue;
    reader.out += without_mark(line, storage);
    reader.out += '\n';
  }
  reader.rest.erase(0, begin);
  return true;
}

bool LogPump::serve(Reader& reader) {
  reader.blocked = false;
  for (int round = 0; round < kRoundsMax;) {
    if (reader.sent == reader.out.size()) {
      reader.out.clear();
      reader.sent = 0;
      if (reader.log && reader.log->erased()) return false;
      // At the end there may still be a note of what was left out.
      if (!fill(reader) && reader.out.empty()) return reader.request.follow;
      ++round;
      continue;
    }
    const auto sent = ::send(reader.fd.get(), reader.out.data() + reader.sent, reader.out.size() - reader.sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      reader.sent += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      reader.blocked = true;
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  wake();  // more to do, after the others
  return true;
}

// `entries`: two of the thread's own, then one for each that was served when it began to wait.
void LogPump::serve_all(const std::vector<pollfd>& entries) {
  std::size_t index = 2;
  for (auto reader = served_.begin(); reader != served_.end() && gate_.is_open(); ++index) {
    const bool gone = (entries[index].revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
    if (gone || !serve(**reader)) {
      const std::lock_guard lock(mutex_);
      --readers_;
      if ((*reader)->request.follow) --followers_;
      reader = served_.erase(reader);
    } else {
      ++reader;
    }
  }
  const std::lock_guard lock(mutex_);
  if (arrived_.empty()) return;
  served_.splice(served_.end(), arrived_);
  wake();  // serve them in the next round
}

void LogPump::run(const StopSignal& stop) {
  std::vector<pollfd> entries;
  while (true) {
    {
      const auto pass = gate_.enter();
      if (pass && !entries.empty()) serve_all(entries);
      entries.assign({{stop.fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}});
      if (pass)
        for (const auto& reader : served_)
          entries.push_back({reader->fd.get(), static_cast<short>(POLLRDHUP | (reader->blocked ? POLLOUT : 0)), 0});
    }
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
    if (entries[0].revents != 0) return;
    wake_.clear();
  }
}

}  // namespace flynn::logs
