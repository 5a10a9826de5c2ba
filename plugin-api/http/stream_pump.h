/// Serves every long-lived response (events, logs that are followed, attached jobs) from one thread.
///
/// 500 idle streams cost 500 descriptors and no thread. Backpressure is the kernel's: a source is not read and a
/// feed not asked while its client is kBufferedMax behind. Owns the descriptors of its streams.
/// Thread: add, wake, count are [any]; the rest is [control].
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "message.h"

namespace flynn::http {

inline constexpr std::size_t kStreamsMax = 4000;

class StreamPump {
 public:
  /// `name`: at most 7 characters, of its thread "NAME-streams".
  explicit StreamPump(std::string name, std::chrono::milliseconds keep_alive = std::chrono::seconds(30));
  ~StreamPump();

  /// Empty, or why it could not start.
  std::string start();
  /// False when there are kStreamsMax already; the client is then still the caller's.
  bool add(std::unique_ptr<StreamStart> start, UniqueFd& client);
  void wake();
  std::size_t count() const { return count_.load(); }
  /// Waits until no stream is left; false when the deadline came first.
  bool wait_empty(std::chrono::steady_clock::time_point deadline);
  /// Ends every stream and joins the thread.
  void stop();

 private:
  struct Stream;
  void run();
  void accept_new();
  void on_ready(std::uint64_t token, std::uint32_t events);
  void take_feed(Stream& stream);
  void read_source(Stream& stream);
  void read_client(Stream& stream);
  void write_client(Stream& stream);
  void write_source(Stream& stream);
  void refresh(Stream& stream);
  void finish_round();
  void keep_alive_round(std::chrono::steady_clock::time_point now);

  const std::string name_;
  const std::chrono::milliseconds keep_alive_;
  UniqueFd epoll_, wake_fd_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable emptied_;
  std::vector<std::unique_ptr<Stream>> arriving_;
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> stopping_{false};
  std::unordered_map<std::uint64_t, std::unique_ptr<Stream>> streams_;  // [loop]
  std::vector<std::uint64_t> touched_;                                  // [loop]
  std::uint64_t next_id_ = 1;                                           // [loop]
};

}  // namespace flynn::http
