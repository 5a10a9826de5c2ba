// twin: comes up only beside its siblings, or only when somebody answers; for tests of how cages come back.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "flynn/sdk/plugin.h"

namespace {

constexpr std::chrono::seconds kMeetMax{4};
constexpr int kLookMs = 2;

class Twin : public flynn::Plugin {
 public:
  explicit Twin(flynn::Host& host) : Plugin(host) {
    on("test.twin/1", "Pid", [](flynn::Call&) -> flynn::Result<flynn::Reply> {
      return flynn::Reply{{{"pid", ::getpid()}}};
    });
  }

  flynn::Result<void> configure(const flynn::json::object& config) override {
    folder_ = flynn::string_or(config, "folder");
    siblings_ = flynn::strings_or_empty(config, "siblings");
    asks_ = flynn::string_or(config, "asks");
    return {};
  }

  flynn::Result<void> start() override {
    if (!asks_.empty())
      if (auto answer = host().call(asks_, "Version", {}); !answer) return answer.error();
    // The first time nobody waits: a node starts one slot after the other.
    if (folder_.empty() || ::access((folder_ + "/meet").c_str(), F_OK) != 0) return {};
    auto info = host().info();
    if (!info) return info.error();
    return meet(info->slot);
  }

 private:
  flynn::Result<void> meet(const std::string& slot) {
    const auto own = folder_ + "/" + slot;
    const flynn::UniqueFd here(::open(own.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!here) return flynn::errno_error(errno, "make " + own);
    const auto deadline = flynn::Deadline::after(kMeetMax);
    for (const auto& sibling : siblings_) {
      while (::access((folder_ + "/" + sibling).c_str(), F_OK) != 0) {
        if (deadline.passed()) {
          ::unlink(own.c_str());
          return flynn::Error{flynn::Code::unavailable, sibling + " does not start while " + slot + " does"};
        }
        ::poll(nullptr, 0, kLookMs);
      }
    }
    return {};
  }

  std::string folder_, asks_;
  std::vector<std::string> siblings_;
};

}  // namespace

FLYNN_PLUGIN(Twin)
