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

void LogPump::start() {
  worker_.start("logs-pump", [this](const StopSignal& stop) { run(stop); });
}

void LogPump::stop() {
  worker_.stop();
  const std::lock_guard lock(mutex_);
  arrived_.clear();
  readers_ = followers_ = 0;
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

void LogPump::run(const StopSignal& stop) {
  std::list<std::unique_ptr<Reader>> readers;
  std::vector<pollfd> entries;
  while (true) {
    entries.assign({{stop.fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}});
    for (const auto& reader : readers)
      entries.push_back({reader->fd.get(), static_cast<short>(POLLRDHUP | (reader->blocked ? POLLOUT : 0)), 0});
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
    if (entries[0].revents != 0) return;  // closing the streams without a word: readers open them again
    wake_.clear();
    std::size_t index = 2;
    for (auto reader = readers.begin(); reader != readers.end(); ++index) {
      const bool gone = (entries[index].revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
      if (gone || !serve(**reader)) {
        const std::lock_guard lock(mutex_);
        --readers_;
        if ((*reader)->request.follow) --followers_;
        reader = readers.erase(reader);
      } else {
        ++reader;
      }
    }
    const std::lock_guard lock(mutex_);
    if (arrived_.empty()) continue;
    readers.splice(readers.end(), arrived_);
    wake();  // serve them in the next round
  }
}

}  // namespace flynn::logs
