#include "machine.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "files.h"
#include "init/init_image.h"
#include "names.h"
#include "net_namespace.h"
#include "oci_config.h"
#include "overlay_root.h"

namespace flynn::host {
namespace {

std::string record_file(const NodePaths& paths) { return paths.data_dir + "/node.json"; }
std::string init_file(const NodePaths& paths) { return paths.run_dir + "/flynn-init"; }

// What was last given to nftables.
std::string rules_file(const NodePaths& paths) { return paths.run_dir + "/packet-rules"; }

std::string_view init_image() {
  return {flynn_init_image, static_cast<std::size_t>(flynn_init_image_end - flynn_init_image)};
}

// Running jobs have some of these mounted, and an fsync costs milliseconds: the same bytes are not written again.
Result<void> write_if_changed(const std::string& path, std::string_view text, mode_t mode) {
  if (auto there = read_file(path, text.size() + 1); there && *there == text) return {};
  return write_file(path, text, mode);
}

void keep_first(Result<void>& kept, Result<void> next) {
  if (kept && !next) kept = std::move(next);
}

}  // namespace

Result<std::string> write_init_program(const NodePaths& paths) {
  const auto file = init_file(paths);
  if (auto done = write_if_changed(file, init_image(), 0755); !done) return done.error();
  return file;
}

Result<NodeRecord> read_node_record(const NodePaths& paths) {
  auto text = read_file(record_file(paths));
  if (!text) return text.error();
  auto document = parse_json_object(*text);
  if (!document) return document.error().context(record_file(paths));
  return NodeRecord{string_or(*document, "host_id"), string_or(*document, "bridge")};
}

Machine::Machine(Door& door, NodePaths paths, HostOptions options, Subnet subnet)
    : paths_(paths), options_(std::move(options)), layers_(door, std::move(paths)), addresses_(subnet) {}

Result<std::unique_ptr<Machine>> Machine::make(Door& door, NodePaths paths, HostOptions options) {
  auto subnet = Subnet::parse(options.subnet);
  if (!subnet) return subnet.error();
  return std::unique_ptr<Machine>(new Machine(door, std::move(paths), std::move(options), *subnet));
}

BridgeOptions Machine::bridge() const {
  return {options_.bridge, table_name(options_.host_id + options_.bridge), addresses_.subnet(),
          options_.host_ports_allowed};
}

// All that the bridge and its rules depend on, and what a purge needs.
std::string Machine::record() const {
  return json::serialize(json::object{
      {"v", 1},
      {"host_id", options_.host_id},
      {"bridge", options_.bridge},
      {"subnet", options_.subnet},
      {"host_ports_allowed", json::array(options_.host_ports_allowed.begin(), options_.host_ports_allowed.end())}});
}

bool Machine::is_set_up() const {
  // The record outlives a reboot, the rules' text in run_dir does not.
  return read_file(record_file(paths_)).value_or("") == record() &&
         read_file(rules_file(paths_)).value_or("") == packet_rules(bridge()) &&
         read_file(init_file(paths_), init_image().size() + 1).value_or("") == init_image();
}

Result<void> Machine::set_up(Log& log) {
  for (const auto& folder : {paths_.layer_folder(), paths_.layer_mounts(), paths_.jobs(), paths_.logs(),
                             paths_.volumes(), paths_.netns_folder(), paths_.runtime_root()})
    if (auto made = make_folders(folder); !made) return made;
  if (auto done = write_if_changed(record_file(paths_), record(), 0600); !done) return done;
  auto init = write_init_program(paths_);
  if (!init) return init.error().context("write the init program");
  auto cgroups = CgroupTree::open(options_.host_id);
  if (!cgroups) return cgroups.error();
  if (auto prepared = cgroups->prepare(); !prepared) return prepared.error().context("prepare the control groups");
  cgroups_ = std::move(*cgroups);
  auto runtime = OciRuntime::probe(options_.runtime, *init, paths_.run_dir + "/trial", paths_.runtime_root(), cgroups_);
  if (!runtime) return runtime.error();
  runtime_ = std::move(*runtime);
  log.info(
      "runtime_chosen",
      {{"runtime", runtime_.name()}, {"cgroup", cgroups_.layout_name()}, {"passed_over", runtime_.outcome().reason}});
  if (auto made = ensure_bridge(bridge()); !made) return made.error().context("make the bridge " + options_.bridge);
  // Without packet rules jobs reach each other and this machine, but not the world.
  if (auto ruled = ensure_packet_rules(bridge()); !ruled) {
    log.warn("no_packet_rules", {{"error", ruled.error().message}});
    return {};
  }
  return write_if_changed(rules_file(paths_), packet_rules(bridge()), 0600);
}

Result<void> Machine::connect(const JobSpec& spec, const std::string& address) {
  NetNamespacePlan plan;
  plan.path = paths_.netns(spec.id);
  plan.bridge = options_.bridge;
  plan.veth = veth_name(options_.bridge, spec.id);
  plan.address = address;
  plan.gateway = gateway();
  plan.prefix_bits = addresses_.subnet().bits;
  if (auto made = make_net_namespace(plan); !made) return made.error().context("make the job's network");
  JobNetwork network{address, gateway(), plan.prefix_bits, {gateway()}};
  return write_etc_files(paths_, spec, network);
}

Result<std::string> Machine::make_volume(const JobSpec& spec, const JobVolume& volume) {
  const auto folder = paths_.volumes() + "/" + spec.app_id + "/" + volume.name;
  if (auto made = make_folders(folder); !made) return made.error();
  if (::chown(folder.c_str(), spec.uid, spec.gid) != 0) return errno_error(errno, "give the volume to the job's user");
  return folder;
}

Result<std::string> Machine::make_config(const JobSpec& spec) {
  OciInputs inputs;
  inputs.root = paths_.job_root(spec.id);
  inputs.etc = paths_.job(spec.id) + "/etc";
  inputs.netns = paths_.netns(spec.id);
  inputs.cgroup_path = cgroups_.job_path(spec.id);
  inputs.init_program = init_file(paths_);
  inputs.hostname = job_hostname(spec);
  inputs.limits_swap = cgroups_.limits_swap();
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  inputs.fd_hard_limit = files.rlim_max;
  for (const auto& volume : spec.volumes) {
    auto folder = make_volume(spec, volume);
    if (!folder) return folder.error().context("volume " + volume.name);
    inputs.volumes.push_back({*folder, volume.path});
  }
  return oci_config(spec, inputs);
}

Result<PreparedJob> Machine::prepare(const JobSpec& spec) {
  auto layers = layers_.acquire(spec.id, spec.layers);
  if (!layers) return layers.error().context("get the layers");
  if (auto mounted = mount_root(paths_, spec.id, *layers); !mounted)
    return mounted.error().context("mount the root file system");
  auto address = addresses_.take(spec.id);
  if (!address) return address.error();
  if (auto connected = connect(spec, *address); !connected) return connected.error();
  auto config = make_config(spec);
  if (!config) return config.error();
  if (auto made = make_folders(paths_.job_bundle(spec.id)); !made) return made.error();
  if (auto done = write_file(paths_.job_bundle(spec.id) + "/config.json", *config); !done) return done.error();
  auto monitor = start_monitor(spec, paths_, runtime_, cgroups_, options_.log_bytes_max);
  if (!monitor) return monitor.error();
  return PreparedJob{monitor->id, *address};
}

Result<void> Machine::tear_down(const JobSpec& spec) {
  Result<void> outcome;
  keep_first(outcome, runtime_.remove(spec.id));
  keep_first(outcome, unmount_root(paths_, spec.id));
  layers_.release(spec.id);
  keep_first(outcome, remove_net_namespace(paths_.netns(spec.id), veth_name(options_.bridge, spec.id)));
  addresses_.release(spec.id);
  keep_first(outcome, cgroups_.remove(spec.id));
  for (const auto& volume : spec.volumes)
    if (volume.delete_on_stop)
      keep_first(outcome, remove_tree(paths_.volumes() + "/" + spec.app_id + "/" + volume.name));
  return outcome;
}

Result<void> Machine::claim(const JobSpec& spec, const std::string& address) {
  if (auto claimed = addresses_.claim(spec.id, address); !claimed) return claimed.error();
  auto layers = layers_.acquire(spec.id, spec.layers);
  if (!layers) return layers.error();
  return {};
}

}  // namespace flynn::host
