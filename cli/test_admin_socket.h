/// A flynn-host's admin socket that answers each method with a given text.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "flynn/sdk/unique_fd.h"

namespace flynn::cli::testing {

class AdminSocket {
 public:
  AdminSocket(const std::string& path, std::map<std::string, std::string> answers);
  ~AdminSocket();
  AdminSocket(const AdminSocket&) = delete;
  AdminSocket& operator=(const AdminSocket&) = delete;

  /// The params of the last request for `method`, as JSON.
  std::string params(const std::string& method);

 private:
  void serve();

  UniqueFd listener_;
  std::map<std::string, std::string> answers_;
  std::mutex mutex_;
  std::map<std::string, std::string> params_;
  std::thread thread_;
};

}  // namespace flynn::cli::testing
