// AdminServer: the operator's socket. One JSON line asks, NDJSON answers: progress lines, then one result or error.
#pragma once

#include <atomic>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>

#include "admin_methods.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

/// Watchers are clients too (kWatchersMax): as many places are left for those who act.
inline constexpr int kAdminClientsMax = 128;

/// A unix stream socket of mode 0600; root and the host's own user may talk to it. A thread a client. Thread:
/// [control].
class AdminServer {
 public:
  AdminServer(AdminMethods& methods, EventLog& log) : methods_(methods), log_(log) {}
  ~AdminServer() { stop(); }
  Result<void> start(const std::filesystem::path& socket);
  /// Running methods are waited for.
  void stop();

 private:
  struct Client {
    UniqueFd fd;
    std::atomic<bool> done{false};
    Worker worker;
  };
  void accept_clients(const StopSignal& stop);
  void serve(Client& client, const StopSignal& stop);
  std::string answer(const std::string& line, int fd, int stop_fd);
  void forget_done_clients();

  AdminMethods& methods_;
  EventLog& log_;
  UniqueFd listener_;
  std::filesystem::path path_;
  std::list<std::unique_ptr<Client>> clients_;  // the accepting thread's
  Worker acceptor_;
};

}  // namespace flynn::core
