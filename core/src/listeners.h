// Listeners: the node's listening sockets. The keeper opens the fixed ones, the host process inherits them and lends
// duplicates. Those of ranges of ports are opened by the host when they are wanted, and handed to the keeper.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"
#include "range_sockets.h"

namespace flynn::core {

/// Name -> "ADDRESS:PORT", or "ADDRESS:FIRST-LAST" for a range of ports.
using ListenerAddresses = std::map<std::string, std::string>;

/// Thread: lend and permitted_by [any]; the rest [startup], or the keeper's one thread.
class Listeners {
 public:
  /// Binds all but ranges. An address in use names who holds it where the kernel tells.
  static Result<Listeners> open(const ListenerAddresses& addresses);
  /// From the environment that the keeper made: "name=fd,name=fd". The ranges are those of `addresses`.
  static Result<Listeners> inherit(const std::string& text, const ListenerAddresses& addresses);

  /// A duplicate. "NAME:PORT" is one of the range NAME; it listens, and is the same socket each time. not_found: there
  /// is no such socket; invalid_argument: a range without a port, or what is none.
  Result<UniqueFd> lend(const std::string& name) const;
  /// The listener of the configuration that `name` belongs to: who may borrow that may borrow this.
  std::string permitted_by(const std::string& name) const;
  /// See RangeSockets. Thread: [any].
  void shut_unborrowed() const { ranges_->shut_unborrowed(); }
  /// From now on the keeper gets what is opened. Borrows `log`.
  void hand_over_to(UniqueFd keeper, EventLog& log) { ranges_->hand_over_to(std::move(keeper), log); }

  /// The keeper's: holds what the host has opened, "NAME:PORT", for the hosts to come. The host is not trusted: an
  /// error says why the socket is not kept, and then it is closed.
  Result<void> keep(const std::string& name, UniqueFd socket);
  /// How many descriptors a process may need for sockets of ranges, lent ones included; 0 without ranges.
  unsigned long descriptors_wanted() const;
  /// For the child's environment. The descriptors keep their numbers.
  std::string environment_text() const;
  /// Lets exec'ed programs inherit them; only in the child, between fork and exec.
  void keep_over_exec() const;

 private:
  Result<void> read_ranges(const ListenerAddresses& addresses);

  std::map<std::string, UniqueFd> sockets_;
  int kept_ = 0;
  std::unique_ptr<RangeSockets> ranges_ = std::make_unique<RangeSockets>();
};

inline constexpr const char* kListenersVariable = "FLYNN_LISTENERS";

}  // namespace flynn::core
