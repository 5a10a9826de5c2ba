#include "oci_config.h"

#include <algorithm>

#include "seccomp_profile.h"

namespace flynn::host {
namespace {

constexpr std::uint32_t kPidsMaxDefault = 1024;
constexpr std::uint64_t kFdMaxDefault = 10000;
constexpr std::uint64_t kShmBytes = 64u << 20;
// A weight of 1,024 is the kernel's default and stands for one CPU.
constexpr std::uint64_t kSharesPerCpu = 1024;
constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

json::object mount_entry(const std::string& target, const char* type, const std::string& source, json::array options) {
  return {{"destination", target}, {"type", type}, {"source", source}, {"options", std::move(options)}};
}

json::array base_mounts() {
  return {mount_entry("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
          mount_entry("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
          mount_entry("/dev/pts", "devpts", "devpts",
                      {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
          mount_entry("/dev/shm", "tmpfs", "shm",
                      {"nosuid", "noexec", "nodev", "mode=1777", "size=" + std::to_string(kShmBytes)}),
          mount_entry("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
          mount_entry("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"})};
}

json::object bind_entry(const std::string& source, const std::string& target, bool writeable,
                        bool devices_and_setuid = false) {
  json::array options{"rbind", "rprivate", writeable ? "rw" : "ro"};
  if (!devices_and_setuid) {
    options.emplace_back("nosuid");
    options.emplace_back("nodev");
  }
  return mount_entry(target, "bind", source, std::move(options));
}

json::array job_mounts(const JobSpec& spec, const OciInputs& inputs) {
  auto mounts = base_mounts();
  mounts.push_back(bind_entry(inputs.init_program, kInitInside, false));
  for (const char* name : {"hosts", "resolv.conf", "hostname"}) {
    mounts.push_back(bind_entry(inputs.etc + "/" + name, std::string("/etc/") + name, false));
  }
  for (const auto& volume : inputs.volumes) mounts.push_back(bind_entry(volume.source, volume.target, true));
  for (const auto& mount : spec.mounts) mounts.push_back(bind_entry(mount.source, mount.target, mount.writeable));
  return mounts;
}

// An ordinary job has none. Root in a job (an image's build steps, an appliance's start) may handle files of others and
// change its user, and nothing that reaches the machine.
json::object capabilities(std::uint32_t uid) {
  json::array kept;
  if (uid == 0) {
    kept = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
            "CAP_KILL",  "CAP_SETGID",       "CAP_SETUID", "CAP_NET_BIND_SERVICE"};
  }
  return {{"bounding", kept},
          {"effective", kept},
          {"permitted", kept},
          {"inheritable", json::array{}},
          {"ambient", json::array{}}};
}

json::object process(const JobSpec& spec, const OciInputs& inputs) {
  json::array args{kInitInside, "--"};
  for (const auto& arg : spec.args) args.emplace_back(arg);
  json::array env;
  for (const auto& [name, value] : spec.env) env.emplace_back(name + "=" + value);
  if (spec.env.count("PATH") == 0) env.emplace_back(std::string("PATH=") + kPath);
  if (spec.env.count("HOME") == 0) env.emplace_back(spec.uid == 0 ? "HOME=/root" : "HOME=/app");
  if (spec.tty && spec.env.count("TERM") == 0) env.emplace_back("TERM=xterm");
  const auto wished = spec.resources.max_fd > 0 ? spec.resources.max_fd : kFdMaxDefault;
  const auto files = std::min(wished, inputs.fd_hard_limit);
  json::object result{{"terminal", spec.tty},
                      {"user", {{"uid", spec.uid}, {"gid", spec.gid}}},
                      {"args", std::move(args)},
                      {"env", std::move(env)},
                      {"cwd", spec.cwd},
                      {"capabilities", capabilities(spec.uid)},
                      {"noNewPrivileges", true},
                      {"rlimits", json::array{json::object{{"type", "RLIMIT_NOFILE"}, {"hard", files}, {"soft", files}},
                                              json::object{{"type", "RLIMIT_CORE"}, {"hard", 0}, {"soft", 0}}}}};
  if (spec.tty && spec.lines > 0 && spec.columns > 0) {
    result["consoleSize"] = {{"height", spec.lines}, {"width", spec.columns}};
  }
  return result;
}

json::object resources(const JobSpec& spec, const OciInputs& inputs) {
  // No device but those that every container has (the runtime adds null, zero, full, random, urandom, tty, ptmx).
  json::object result{{"devices", json::array{json::object{{"allow", false}, {"access", "rwm"}}}}};
  result["pids"] = {{"limit", spec.resources.pids_max > 0 ? spec.resources.pids_max : kPidsMaxDefault}};
  const auto millis = spec.resources.cpu_millis > 0 ? spec.resources.cpu_millis : 1000U;
  result["cpu"] = {{"shares", std::max<std::uint64_t>(2, millis * kSharesPerCpu / 1000)}};
  if (spec.resources.memory_bytes > 0) {
    json::object memory{{"limit", spec.resources.memory_bytes}};
    // Memory and swap together: a job that swaps slows down every other one.
    if (inputs.limits_swap) memory["swap"] = spec.resources.memory_bytes;
    result["memory"] = std::move(memory);
  }
  return result;
}

json::array masked_paths() {
  return {"/proc/acpi",          "/proc/asound",
          "/proc/kcore",         "/proc/keys",
          "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats",   "/proc/sched_debug",
          "/proc/scsi",          "/proc/kpagecount",
          "/proc/kpageflags",    "/proc/sysrq-trigger",
          "/sys/firmware",       "/sys/devices/virtual/powercap"};
}

json::array readonly_paths() { return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"}; }

json::object linux_part(json::array namespaces, const std::string& cgroup_path, json::object limits) {
  return {{"namespaces", std::move(namespaces)}, {"cgroupsPath", cgroup_path},        {"resources", std::move(limits)},
          {"maskedPaths", masked_paths()},       {"readonlyPaths", readonly_paths()}, {"rootfsPropagation", "private"},
          {"seccomp", seccomp_profile()}};
}

json::object name_space(const char* type) { return {{"type", type}}; }

}  // namespace

std::string oci_config(const JobSpec& spec, const OciInputs& inputs) {
  json::array namespaces{name_space("pid"), name_space("ipc"), name_space("uts"), name_space("mount")};
  namespaces.push_back({{"type", "network"}, {"path", inputs.netns}});
  const json::object document{
      {"ociVersion", "1.0.2"},
      {"process", process(spec, inputs)},
      {"root", {{"path", inputs.root}, {"readonly", false}}},
      {"hostname", inputs.hostname},
      {"mounts", job_mounts(spec, inputs)},
      {"linux", linux_part(std::move(namespaces), inputs.cgroup_path, resources(spec, inputs))}};
  return json::serialize(document);
}

std::string trial_config(const std::string& root, const std::string& cgroup_path) {
  JobSpec spec;
  spec.cwd = "/";
  spec.args = {"--true"};
  spec.resources.memory_bytes = 64u << 20;
  OciInputs inputs;
  inputs.fd_hard_limit = 64;
  auto run = process(spec, inputs);
  run["args"] = json::array{"/init", "--true"};
  json::array namespaces{name_space("pid"), name_space("ipc"), name_space("uts"), name_space("mount"),
                         name_space("network")};
  const json::object document{{"ociVersion", "1.0.2"},
                              {"process", std::move(run)},
                              {"root", {{"path", root}, {"readonly", false}}},
                              {"hostname", "trial"},
                              {"mounts", base_mounts()},
                              {"linux", linux_part(std::move(namespaces), cgroup_path, resources(spec, inputs))}};
  return json::serialize(document);
}

}  // namespace flynn::host
