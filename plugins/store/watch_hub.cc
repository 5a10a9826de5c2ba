#include "watch_hub.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "flynn/sdk/stream.h"

namespace flynn::store {
namespace {

constexpr int kTickMs = 1'000;

std::string compacted_line(Revision first, Revision compacted) {
  return error_line("out_of_range", "revision " + std::to_string(first) + " was compacted (the oldest is " +
                                        std::to_string(compacted) +
                                        "): read the range again, then watch from its revision + 1");
}

}  // namespace

Result<std::unique_ptr<WatchHub>> WatchHub::start(StoreState& state, std::unique_ptr<HistoryReader> reader) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return errno_error(errno, "make the watches' epoll");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return errno_error(errno, "make the watches' epoll");
  std::unique_ptr<WatchHub> hub(new WatchHub(state, std::move(reader), std::move(epoll), std::move(wake)));
  hub->worker_.start("store-watch", [raw = hub.get()](const StopSignal& stop) { raw->run(stop); });
  return hub;
}

Result<UniqueFd> WatchHub::add(KeyInterval interval, Revision first) {
  if (first < state_.compact_revision)
    return Error{Code::out_of_range, "revision " + std::to_string(first) +
                                         " was compacted: read the range again, then watch from its revision + 1"};
  if (count_ >= kWatchersMax) return Error{Code::resource_exhausted, "the store serves at most 4096 watches"};
  auto ends = make_stream();
  if (!ends) return ends.error();
  {
    const std::lock_guard lock(mutex_);
    if (finishing_) return Error{Code::unavailable, "the store is being replaced: watch again"};
    added_.push_back(std::make_unique<Watcher>(std::move(interval), first, std::move(ends->first)));
    ++count_;
  }
  notify();
  return std::move(ends->second);
}

void WatchHub::notify() {
  const std::uint64_t one = 1;
  if (::write(wake_.get(), &one, sizeof one) < 0) return;  // full: it is awake already
}

void WatchHub::finish(Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  notify();
  while (!ended_ && !deadline.passed()) ::poll(nullptr, 0, deadline.left_ms(5));
  stop();
}

void WatchHub::run(const StopSignal& stop) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = stop.fd();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop.fd(), &event);
  while (!stop.asked()) {
    adopt();
    const auto now = Watcher::Clock::now();
    for (auto at = watchers_.begin(); at != watchers_.end();) {
      serve(*at->second);
      at->second->tick(state_.history.head(), now);
      at->second->flush(now);
      set_interest(*at->second);
      if (at->second->state() != Watcher::State::gone) {
        ++at;
        continue;
      }
      const int fd = at++->first;
      forget(fd);
    }
    forget_what_all_have();
    if (finished()) break;
    wait();
  }
  watchers_.clear();
  const std::lock_guard lock(mutex_);
  added_.clear();
  finishing_ = true;
  count_ = 0;
  ended_ = true;
}

void WatchHub::wait() {
  std::array<epoll_event, 64> events{};
  const int ready =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), watchers_.empty() ? -1 : kTickMs);
  for (int i = 0; i < ready; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == wake_.get()) {
      std::uint64_t count = 0;
      if (::read(wake_.get(), &count, sizeof count) < 0) continue;
    }
    if ((event.events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) forget(event.data.fd);
  }
}

// Explicitly out of the epoll set: a child that another plugin has forked may hold the description open for a moment.
void WatchHub::forget(int fd) {
  if (!watchers_.contains(fd)) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watchers_.erase(fd);
  --count_;
}

// Old revisions are in the journal, where a watch of old history finds them: memory is for those that are on their way.
void WatchHub::forget_what_all_have() {
  const auto head = state_.history.head();
  Revision next = head + 1;
  for (const auto& [fd, watcher] : watchers_)
    if (watcher->state() == Watcher::State::open) next = std::min(next, watcher->next());
  state_.history.served(next);
  if (next > head) page_ = {};
}

void WatchHub::adopt() {
  const std::lock_guard lock(mutex_);
  for (auto& watcher : added_) {
    epoll_event event{};
    event.events = EPOLLRDHUP;
    event.data.fd = watcher->fd();
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watcher->fd(), &event);
    watchers_[watcher->fd()] = std::move(watcher);
  }
  added_.clear();
}

void WatchHub::serve(Watcher& watcher) {
  while (watcher.wants_more(state_.history.head())) {
    const auto first = watcher.next();
    if (auto revision = find(watcher)) {
      watcher.take(*revision, Watcher::Clock::now());
    } else if (watcher.state() == Watcher::State::open) {
      watcher.end_with(compacted_line(first, state_.compact_revision), Watcher::Clock::now());
    }
  }
}

// Null when it was compacted, or after the watcher was ended for an error of the journal.
RevisionEventsPtr WatchHub::find(Watcher& watcher) {
  const auto wanted = watcher.next();
  if (auto found = state_.history.find(wanted)) return found;
  const auto in_page = [&]() -> RevisionEventsPtr {
    if (page_.empty() || wanted < page_.front()->revision || wanted > page_.back()->revision) return nullptr;
    return page_[static_cast<std::size_t>(wanted - page_.front()->revision)];
  };
  if (auto found = in_page()) return found;
  auto read = reader_->read(wanted);
  page_.clear();
  if (!read) {
    watcher.end_with(error_line(code_name(read.error().code), read.error().message), Watcher::Clock::now());
    return nullptr;
  }
  // The writer tells of a compaction before it purges: if it has not told yet, what was just read is whole.
  if (wanted < state_.compact_revision || read->empty() || read->front()->revision != wanted) return nullptr;
  page_ = std::move(*read);
  return in_page();
}

void WatchHub::set_interest(Watcher& watcher) {
  const bool wants = watcher.pending_bytes() > 0;
  if (watcher.wants_output() == wants) return;
  watcher.set_wants_output(wants);
  epoll_event event{};
  event.events = EPOLLRDHUP | (wants ? static_cast<unsigned>(EPOLLOUT) : 0u);
  event.data.fd = watcher.fd();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, watcher.fd(), &event);
}

bool WatchHub::finished() {
  {
    const std::lock_guard lock(mutex_);
    if (!finishing_ || !added_.empty()) return false;
  }
  for (const auto& [fd, watcher] : watchers_)
    if (watcher->pending_bytes() > 0 || watcher->next() <= state_.history.head()) return false;
  return true;
}

}  // namespace flynn::store
