// borrower: borrows the listening sockets that it is asked to borrow, and greets whoever connects to them with its pid.
// It remembers their names, and borrows them again when it starts, as a router does with its routes.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include "flynn/sdk/plugin.h"

namespace {

using flynn::Result;

class Borrower : public flynn::Plugin {
 public:
  explicit Borrower(flynn::Host& host) : Plugin(host) {
    on("test.borrower/1", "Borrow", [this](flynn::Call& call) -> Result<flynn::Reply> {
      const auto name = flynn::string_or(call.body, "name");
      auto inode = borrow(name);
      if (!inode) return inode.error();
      std::ofstream(notes_, std::ios::app) << name << '\n';
      return flynn::Reply{{{"inode", *inode}, {"pid", ::getpid()}}};
    });
    // The sockets stay borrowed, but their clients are refused.
    on("test.borrower/1", "Refuse", [this](flynn::Call& call) -> Result<flynn::Reply> {
      const std::lock_guard lock(mutex_);
      const auto found = sockets_.find(flynn::string_or(call.body, "name"));
      const bool done = found != sockets_.end() && ::shutdown(found->second.get(), SHUT_RD) == 0;
      return flynn::Reply{{{"done", done}}};
    });
  }

  Result<void> start() override {
    auto info = host().info();
    if (!info) return info.error();
    notes_ = info->data_dir + "/names";
    std::ifstream notes(notes_);
    for (std::string name; std::getline(notes, name);)
      if (auto again = borrow(name); !again) return again.error();
    thread_ = std::thread([this] { greet(); });
    return {};
  }
  Result<void> stop(flynn::Deadline) override {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    return {};
  }

 private:
  Result<std::int64_t> borrow(const std::string& name) {
    auto lent = host().listener(name);
    if (!lent) return lent.error();
    struct stat facts {};
    ::fstat(lent->get(), &facts);
    const std::lock_guard lock(mutex_);
    sockets_[name] = std::move(*lent);
    return static_cast<std::int64_t>(facts.st_ino);
  }

  void greet() {
    const auto words = std::to_string(::getpid()) + "\n";
    while (!ending_) {
      ::poll(nullptr, 0, 5);
      const std::lock_guard lock(mutex_);
      for (const auto& [name, socket] : sockets_) {
        const flynn::UniqueFd peer(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (peer) (void)::send(peer.get(), words.data(), words.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::string notes_;
  std::mutex mutex_;
  std::map<std::string, flynn::UniqueFd> sockets_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace

FLYNN_PLUGIN(Borrower)
