// RangeSockets: the listening sockets of ranges of ports. One is bound when it is lent for the first time, and stays
// for the life of the node: the keeper gets a duplicate for the hosts to come.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "flynn/sdk/unique_fd.h"
#include "log.h"
#include "port_range.h"

namespace flynn::core {

/// Thread: lend [any]; the rest [startup].
class RangeSockets {
 public:
  void add(const std::string& name, PortRange range) { ranges_.emplace(name, std::move(range)); }
  /// Null when there is no such range.
  const PortRange* find(const std::string& name) const;
  int ports() const;
  /// A socket that an earlier host opened. One whose range the configuration does not have any more refuses its
  /// clients, who would wait for nobody; the keeper still has it, should the range come back.
  void inherit(const RangedName& name, UniqueFd socket);
  /// Where duplicates of new sockets go; without it they end with this process. Borrows `log`.
  void hand_over_to(UniqueFd keeper, EventLog& log);

  /// A duplicate of the socket of that port, which listens whatever an earlier borrower did to it. `range` is one of
  /// ours, `port` its text. Errors: port_of() and bind_and_listen().
  Result<UniqueFd> lend(const std::string& range, std::string_view port);
  /// Those that came from an earlier host and that nobody has borrowed since refuse their clients from now on: what
  /// they were for has gone meanwhile. A lend makes one listen again. Thread: [any].
  void shut_unborrowed();

 private:
  struct Held {
    UniqueFd socket;
    bool kept = false;  ///< by the keeper too
    bool borrowed = false;
  };
  void hand_over(const std::string& name, Held& held) const;

  std::map<std::string, PortRange> ranges_;
  UniqueFd keeper_;
  EventLog* log_ = nullptr;
  std::mutex mutex_;                  // of what follows
  std::map<std::string, Held> held_;  // by "range:port"
};

}  // namespace flynn::core
