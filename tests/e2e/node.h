// Node: a whole platform of its own for a test: folders, ports, bridge; nothing of it stays.
#pragma once

#include <string>

#include "flynn/sdk/json.h"
#include "program.h"

namespace flynn::e2e {

struct NodePorts {
  int http = 0, ssh = 0, api = 0, blob = 0, https = 0, git = 0, images = 0, discovery = 0, host = 0;
  int tcp = 0;  // the only one of the range router.tcp
};

class Node {
 public:
  /// Makes folders and configuration; starts nothing.
  Node();
  /// Stops the node, its jobs, and removes every mount, interface, process and file of it.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Starts the keeper and waits until every plugin is healthy. False: see log().
  bool start(std::chrono::seconds within = 120s);
  /// As the end of the machine's day: the node ends, its jobs run on.
  bool stop();
  /// The client knows the cluster and its key is registered.
  bool introduce();

  /// What the jobs left, of a node that has been stopped: containers, mounts, networks.
  Outcome purge() const;

  Outcome flynn(const Args& args, const RunOptions& options = {}) const;
  /// As `flynn`, but goes on; its output goes to the file `log`.
  Background start_flynn(const Args& args, const std::string& log) const;
  /// A line for bash in the environment of the client.
  Outcome shell(const std::string& line) const;
  /// The body of the reply of an operator's call; an object with "error" otherwise.
  json::object call(const std::string& interface, const std::string& method, const json::object& body) const;
  /// Of the process that has the plugins loaded.
  pid_t host_pid() const;
  json::object status() const;
  bool healthy() const;

  /// Copies examples/apps/<sample>, creates the app, and pushes it with the real git.
  Outcome push_sample(const std::string& sample, const std::string& app) const;
  /// A git repository with these files, committed.
  std::string make_repository(const std::string& name, const std::map<std::string, std::string>& files) const;
  Outcome push(const std::string& repository) const;
  /// curl through the router.
  Outcome get(const std::string& host, const std::string& path = "/", const Args& more = {}) const;

  const NodePorts& ports() const { return ports_; }
  const std::string& root() const { return root_; }
  std::string data_dir() const { return root_ + "/data"; }
  std::string plugin_path(const std::string& slot) const;
  /// The last lines of the host's log, for failure messages.
  std::string log() const;

 private:
  void write_config() const;
  RunOptions with_environment(RunOptions options) const;

  std::string root_;
  NodePorts ports_;
  Background keeper_;
};

}  // namespace flynn::e2e
