// Where things of this node lie. data_dir is kept; run_dir is gone after a reboot.
#pragma once

#include <string>

namespace flynn::host {

struct NodePaths {
  std::string data_dir, run_dir;

  std::string layer_file(const std::string& id) const { return data_dir + "/layers/" + id + ".squashfs"; }
  std::string layer_folder() const { return data_dir + "/layers"; }
  std::string layer_mount(const std::string& id) const { return run_dir + "/layers/" + id; }
  std::string layer_mounts() const { return run_dir + "/layers"; }
  std::string jobs() const { return data_dir + "/jobs"; }
  std::string job(const std::string& id) const { return jobs() + "/" + id; }
  std::string job_root(const std::string& id) const { return job(id) + "/root"; }
  // In memory on most machines: 128 of them take 100 ms on a disk.
  std::string job_short_names(const std::string& id) const { return run_dir + "/names/" + id; }
  std::string job_bundle(const std::string& id) const { return job(id) + "/bundle"; }
  std::string job_exit(const std::string& id) const { return job(id) + "/exit"; }
  std::string logs() const { return data_dir + "/logs"; }
  std::string job_log(const std::string& id) const { return logs() + "/" + id + ".log"; }
  std::string volumes() const { return data_dir + "/volumes"; }
  std::string netns_folder() const { return run_dir + "/netns"; }
  std::string netns(const std::string& id) const { return netns_folder() + "/" + id; }
  std::string runtime_root() const { return run_dir + "/runtime"; }
};

}  // namespace flynn::host
