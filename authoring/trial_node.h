// TrialNode: a real core in this process, in a temporary folder, with the plugin on trial in slot "trial" and the real
// plugins that it was given for what the one on trial requires.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "node.h"

namespace flynn::authoring {

/// A plugin for what the one on trial requires.
struct Provider {
  std::filesystem::path plugin;
  std::string config_json = "{}";
};

/// What the author gave on the command line.
struct Trial {
  std::filesystem::path plugin;
  std::vector<Provider> with;
  std::string config_json = "{}";
  std::uint64_t seed = 1;
  /// Told before each call that might be the last one that is heard of.
  std::function<void(const std::string&)> doing = [](const std::string&) {};
};

inline constexpr const char* kTrialSlot = "trial";

/// Thread: its owner's; call() [any].
class TrialNode {
 public:
  explicit TrialNode(const Trial& trial);
  ~TrialNode();
  TrialNode(const TrialNode&) = delete;
  TrialNode& operator=(const TrialNode&) = delete;

  /// Empty once the plugin is up, else why it is not.
  std::string start();
  core::Node& node() { return *node_; }
  /// A call with a document as text, which may be anything; the status, and the reply or the error.
  Result<Reply> call(std::string_view interface, std::string_view method, std::string_view body,
                     const std::vector<int>& fds = {}, std::chrono::milliseconds within = std::chrono::seconds(5));
  /// Empty, or the first line that the core logged of the plugin on trial having broken off its end: it was not quiet,
  /// not drained or not unmapped in time.
  std::string end_fault() const;
  /// By another copy of the same file.
  Result<core::SwapOutcome> swap();
  /// Ends all, in order, and begins again with what lies on disk; empty once the plugin is up. Ports are others then.
  std::string restart();
  /// Whether it, or one beside it, claims that interface, "flynn.store/1".
  bool provides(std::string_view interface) const;
  /// Where the socket that was lent by this name listens on 127.0.0.1; 0: it was not asked for.
  int port_of(const std::string& listener) const;
  /// Its own, gone with it.
  const std::string& folder() const { return folder_; }
  const core::Manifest& manifest() const { return manifest_; }

 private:
  std::string boot();

  core::NodeConfig config_;
  core::Manifest manifest_;
  std::set<std::string> provided_;    // interfaces
  std::map<std::string, int> ports_;  // of the sockets, by name
  std::string folder_;
  std::string unreadable_;  // why a file can't be loaded at all
  std::unique_ptr<core::EventLog> log_;
  std::unique_ptr<core::Node> node_;
};

}  // namespace flynn::authoring
