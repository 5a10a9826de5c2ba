// The original client's side of the wire: requests with its headers, event streams, and the frames of an attached job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"
#include "world.h"

namespace flynn::e2e {

struct Answer {
  int status = 0;
  std::string head;  // in lower case
  std::string body;

  /// The body as an object or a list; empty ones when it is none.
  json::object object() const;
  json::array list() const;
};

/// Server-sent events as they come. Thread: the test's.
class EventStream {
 public:
  EventStream(int port, const std::string& key, const std::string& target, const std::string& last_event_id);
  /// The data of the next event whose `object_type` is one of `types` (all when empty) and that `wanted` takes; a null
  /// value when the stream ended or 60 s were over, which fails the test.
  template <typename Wanted>
  json::object next(const std::vector<std::string>& types, Wanted wanted) {
    while (true) {
      json::object event;
      if (!read(event)) return {};
      bool fits = types.empty();
      for (const auto& type : types) fits = fits || string_or(event, "object_type") == type;
      if (fits && wanted(event)) return event;
    }
  }
  json::object next(const std::string& type) {
    return next({type}, [](const json::object&) { return true; });
  }
  int status() const { return status_; }
  /// All bytes after the head so far.
  const std::string& bytes() const { return seen_; }

 private:
  bool read(json::object& event);

  UniqueFd socket_;
  std::string seen_;
  std::size_t at_ = 0;
  int status_ = 0;
};

/// An attached job. Thread: the test's.
class Attached {
 public:
  Attached(int port, const std::string& key, const std::string& app, const json::object& job);
  int status() const { return status_; }
  /// Of an answer that is no 101.
  const std::string& refusal() const { return seen_; }
  void send_stdin(std::string_view text);
  void end_stdin() { send_stdin({}); }
  void send_signal(std::uint32_t number);
  /// Reads frames until stdout has `text`.
  bool read_until(std::string_view text);
  /// Reads frames to the exit frame; its status, or -1 when none came.
  std::int64_t wait();

  std::string out, err, error;

 private:
  bool read_frame();
  bool fill(std::size_t size);

  UniqueFd socket_;
  std::string seen_;
  std::int64_t exit_ = -1;
  int status_ = 0;
};

/// A node with an app from git, and its controller as the original client meets it.
class ConformanceTest : public WorldTest {
 protected:
  static std::string key();
  static int port() { return node().ports().api; }
  /// As the client sends it: always with a type of content, and JSON wanted.
  static Answer ask(const std::string& method, const std::string& target, const json::value& body = nullptr);
  /// As ask, and 200 is expected.
  static json::object object(const std::string& method, const std::string& target, const json::value& body = nullptr);
  static json::array list(const std::string& target);
  static EventStream events(const std::string& query, const std::string& last_event_id = "0");
  /// An app that has been pushed, once for the whole program: types web and worker.
  static std::string given_pushed_app();
  static json::object release_of(const std::string& app) { return object("GET", "/apps/" + app + "/release"); }
};

}  // namespace flynn::e2e
