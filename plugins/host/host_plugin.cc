// flynn.host/1: the containers of this machine.
#include <fcntl.h>

#include <cerrno>
#include <list>
#include <memory>
#include <mutex>

#include "exec_session.h"
#include "flynn/sdk/plugin.h"
#include "flynn/sdk/stream.h"
#include "host_agent.h"
#include "host_api.h"
#include "names.h"

namespace flynn::host {
namespace {

class HostPlugin : public Plugin {
 public:
  explicit HostPlugin(Host& host) : Plugin(host) {
    method("Attach", &HostPlugin::attach);
    method("Exec", &HostPlugin::exec);
    method("Log", &HostPlugin::log);
    method("Signal", &HostPlugin::signal);
    method("List", &HostPlugin::list);
    method("Stats", &HostPlugin::stats);
    method("Volumes", &HostPlugin::volumes);
    method("VolumeDestroy", &HostPlugin::volume_destroy);
    method("Status", &HostPlugin::status);
  }

  Result<void> configure(const json::object& config) override {
    if (machine_) return Error{Code::restart_required, "takes effect when the plugin is swapped"};
    options_.runtime = string_or(config, "runtime", options_.runtime);
    options_.bridge = string_or(config, "bridge", options_.bridge);
    options_.subnet = string_or(config, "subnet", options_.subnet);
    options_.log_bytes_max = static_cast<std::uint64_t>(int_or(config, "log_bytes_max", 16 << 20));
    options_.memory_reserve_bytes = static_cast<std::uint64_t>(int_or(config, "memory_reserve_bytes", 256 << 20));
    if (const auto* ports = find_array(config, "host_ports_allowed"))
      for (const auto& port : *ports)
        options_.host_ports_allowed.push_back(static_cast<std::uint16_t>(port.to_number<std::int64_t>()));
    api_options_.keys = strings_or_empty(config, "http_keys");
    auto info = host().info();
    if (!info) return info.error();
    options_.host_id = info->node;
    api_options_.version = info->version;
    auto machine = Machine::make(host(), NodePaths{info->data_dir, info->run_dir}, options_);
    if (!machine) return machine.error();
    machine_ = std::move(*machine);
    // In a swap the other instance works on while we do this, and nobody waits: see is_set_up().
    if (machine_->is_set_up()) {
      if (auto ready = machine_->set_up(host()); !ready) return ready;
      machine_ready_ = true;
    }
    agent_ = std::make_unique<HostAgent>(host(), host(), *machine_);
    volumes_ = std::make_unique<VolumeFolders>(machine_->paths(),
                                               [this](const std::string& app) { return agent_->running_job(app); });
    api_ = std::make_unique<HostApi>(host(), host(), *machine_, *agent_, *volumes_, api_options_);
    agent_->prepare();
    return open_api();
  }

  Result<void> start() override {
    if (!machine_) return Error{Code::failed_precondition, "not configured"};
    if (!machine_ready_)
      if (auto ready = machine_->set_up(host()); !ready) return ready;
    machine_ready_ = true;
    return {};
  }

  Result<void> activate() override {
    if (auto active = agent_->activate(); !active) return active;
    api_->resume();
    return {};
  }

  Result<void> quiesce() override {
    api_->quiesce();
    agent_->quiesce();
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    api_->drain(deadline);
    agent_->drain(deadline);
    const std::lock_guard lock(execs_mutex_);
    execs_.clear();  // a command does not outlive the plugin that started it
    return {};
  }

  Result<void> stop(Deadline) override {
    {
      const std::lock_guard lock(execs_mutex_);
      execs_.clear();
    }
    if (!agent_) return {};
    agent_->quiesce();  // nothing tells the API of events any more
    api_->stop();
    agent_->stop();
    return {};
  }

 private:
  // Without a socket in the configuration there is no HTTP, and calls work.
  Result<void> open_api() {
    auto listening = host().listener("host.http");
    if (listening) return api_->prepare(std::move(*listening));
    if (listening.error().code != Code::not_found && listening.error().code != Code::permission_denied)
      return listening.error();
    host().info("http_off", {{"why", listening.error().message}});
    return {};
  }

  void method(const char* name, Result<Reply> (HostPlugin::*function)(Call&)) {
    on("flynn.host/1", name, [this, function](Call& call) { return (this->*function)(call); });
  }

  static Result<std::string> job_id_of(const Call& call) {
    auto id = require_string(call.body, "job_id");
    if (id && !is_safe_name(*id)) return Error{Code::invalid_argument, "member \"job_id\" is no job id"};
    return id;
  }

  Result<Reply> attach(Call& call) {
    auto id = job_id_of(call);
    if (!id) return id.error();
    AttachRequest request;
    request.job_id = *id;
    request.use_stdin = bool_or(call.body, "stdin");
    request.use_stdout = bool_or(call.body, "stdout", true);
    request.use_stderr = bool_or(call.body, "stderr", true);
    request.deadline = Deadline::after(std::chrono::milliseconds(int_or(call.body, "wait_ms", 30'000)));
    auto stream = agent_->attach(std::move(request));
    if (!stream) return stream.error();
    return Reply{{}, std::move(*stream)};
  }

  // For readers that our folders are closed to.
  Result<Reply> log(Call& call) {
    auto id = job_id_of(call);
    if (!id) return id.error();
    UniqueFd file(::open(machine_->paths().job_log(*id).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file && errno == ENOENT) return Error{Code::not_found, "this machine has no log of a job " + *id};
    if (!file) return errno_error(errno, "open the log of job " + *id);
    return Reply{{}, std::move(file)};
  }

  static Result<ExecRequest> exec_request_of(const json::object& body) {
    ExecRequest request;
    if (const auto* args = find_array(body, "args"))
      for (const auto& word : *args) {
        if (!word.is_string()) return Error{Code::invalid_argument, "member \"args\" must hold strings"};
        request.args.emplace_back(word.get_string());
      }
    if (request.args.empty() || request.args.front().empty() || request.args.front().front() == '-')
      return Error{Code::invalid_argument, "member \"args\" must begin with a program"};
    if (const auto* env = find_object(body, "env"))
      for (const auto& entry : *env)
        if (entry.value().is_string()) request.env[std::string(entry.key())] = entry.value().get_string();
    request.tty = bool_or(body, "tty");
    request.rows = static_cast<std::uint16_t>(int_or(body, "rows", 24));
    request.columns = static_cast<std::uint16_t>(int_or(body, "columns", 80));
    return request;
  }

  Result<Reply> exec(Call& call) {
    auto id = job_id_of(call);
    if (!id) return id.error();
    auto request = exec_request_of(call.body);
    if (!request) return request.error();
    request->job_id = *id;
    auto state = machine_->runtime().state(*id);
    if (!state) return state.error().context("job " + *id);
    if (*state != "running") return Error{Code::failed_precondition, "job " + *id + " is " + *state + ", not running"};
    auto ends = make_stream();
    if (!ends) return ends.error();
    const std::lock_guard lock(execs_mutex_);
    std::erase_if(execs_, [](const auto& session) { return session->done(); });
    if (execs_.size() >= kExecsMax)
      return Error{Code::resource_exhausted, std::to_string(kExecsMax) + " commands run in jobs of this machine"};
    const auto pid_file = machine_->paths().job(*id) + "/exec-" + std::to_string(++exec_number_) + ".pid";
    execs_.push_back(std::make_unique<ExecSession>(*machine_, std::move(*request), std::move(ends->first), pid_file));
    execs_.back()->start();
    return Reply{{}, std::move(ends->second)};
  }

  Result<Reply> signal(Call& call) {
    auto id = job_id_of(call);
    auto number = require_int(call.body, "signal");
    if (!id) return id.error();
    if (!number) return number.error();
    if (*number < 1 || *number > 64) return Error{Code::invalid_argument, "member \"signal\" must be 1 to 64"};
    auto sent = agent_->signal(*id, static_cast<int>(*number));
    if (!sent) return sent.error();
    return Reply{};
  }

  Result<Reply> list(Call&) { return Reply{{{"jobs", agent_->list()}}}; }

  Result<Reply> stats(Call& call) {
    auto id = job_id_of(call);
    if (!id) return id.error();
    if (!agent_->unit(*id)) return Error{Code::not_found, "this machine has no job " + *id};
    const auto seen = machine_->cgroups().stats(*id);
    return Reply{{{"memory_bytes", seen.memory_bytes}, {"cpu_ns", seen.cpu_ns}, {"pids", seen.pids}}};
  }

  Result<Reply> volumes(Call&) {
    json::array list;
    for (const auto& volume : volumes_->list()) {
      const auto job = volumes_->user_of(volume);
      list.push_back({{"id", volume.id},
                      {"app_id", volume.app_id},
                      {"path", volume.path},
                      {"bytes", tree_bytes(volume.path)},
                      {"job_id", job.empty() ? json::value() : json::value(job)}});
    }
    return Reply{{{"volumes", std::move(list)}}};
  }

  Result<Reply> volume_destroy(Call& call) {
    auto id = require_string(call.body, "id");
    if (!id) return id.error();
    if (auto destroyed = volumes_->destroy(*id); !destroyed) return destroyed.error();
    return Reply{};
  }

  Result<Reply> status(Call&) {
    return Reply{{{"host_id", options_.host_id},
                  {"runtime", machine_->runtime().name()},
                  {"cgroup", machine_->cgroups().layout_name()},
                  {"jobs", agent_->jobs_alive()},
                  {"layers", machine_->layers().mounted()},
                  {"bridge", options_.bridge},
                  {"address", machine_->gateway()}}};
  }

  static constexpr std::size_t kExecsMax = 64;

  HostOptions options_;
  std::unique_ptr<Machine> machine_;
  bool machine_ready_ = false;
  std::unique_ptr<HostAgent> agent_;
  std::unique_ptr<VolumeFolders> volumes_;
  HostApiOptions api_options_;
  std::unique_ptr<HostApi> api_;
  std::mutex execs_mutex_;
  std::list<std::unique_ptr<ExecSession>> execs_;
  std::uint64_t exec_number_ = 0;
};

}  // namespace
}  // namespace flynn::host

FLYNN_PLUGIN(flynn::host::HostPlugin)
