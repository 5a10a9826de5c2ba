// The routes of HostApi that are about jobs.
#include <charconv>

#include "active_job.h"
#include "api_answer.h"
#include "conmon.h"
#include "files.h"
#include "flynn/sdk/store.h"
#include "host_api.h"
#include "http/sse.h"
#include "wire_job.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr char kScheduler[] = "flynn.scheduler/1";
constexpr auto kAttachPatience = 30'000ms;
constexpr char kUnknownJob[] = "host: unknown job";

// AttachReq.flags
enum : std::int64_t { kStdout = 1, kStderr = 2, kStdin = 4, kLogs = 8 };

bool wants_stream(const http::HttpRequest& request) {
  return request.accept.find("text/event-stream") != std::string::npos;
}

http::HttpResponse unknown_job() { return failure(404, "object_not_found", kUnknownJob); }

std::uint16_t terminal_size(const json::object& body, std::string_view key) {
  const auto given = int_or(body, key);
  return given > 0 && given < 10'000 ? static_cast<std::uint16_t>(given) : std::uint16_t{0};
}

}  // namespace

json::object HostApi::tell(const JobUnit& unit) const {
  const bool runs = wire_status(unit) == WireStatus::running;
  return active_job(unit, host_id_, runs ? job_pid(machine_.paths(), unit.spec.id) : 0);
}

Result<std::string> HostApi::id_of(const Request& request) const {
  return job_id_of_wire(host_id_, request.segments[2]);
}

http::HttpResponse HostApi::follow(std::string job_id) {
  Response response;
  response.stream = std::make_unique<http::StreamStart>();
  response.stream->head = http::stream_head(http::kSseType);
  response.stream->feed = events_.listen(std::move(job_id));
  response.stream->keep_alive = true;
  return response;
}

http::HttpResponse HostApi::list_jobs(const Request& request) {
  if (wants_stream(request)) return follow({});
  const bool active_only = request.query_flag("active");
  json::object jobs;
  for (const auto& unit : agent_.units()) {
    if (active_only && unit.phase == Phase::down) continue;
    jobs[wire_job_id(host_id_, unit.spec.id)] = tell(unit);
  }
  return json_answer(jobs);
}

http::HttpResponse HostApi::get_job(const Request& request) {
  auto id = id_of(request);
  if (!id) return failure(id.error());
  if (wants_stream(request)) return follow(std::move(*id));
  const auto unit = agent_.unit(*id);
  return unit ? json_answer(tell(*unit)) : unknown_job();
}

// An app that is not there would give a job that nobody lists, a layer that is not there one that never starts.
Result<void> HostApi::check_app_and_layers(const json::object& spec) {
  const auto app_id = string_or(spec, "app_id");
  auto app = StoreClient(door_).get("apps/" + app_id);
  if (!app) return app.error().context("look for the app");
  if (!*app) return Error{Code::invalid_argument, "metadata names the app " + app_id + ", which there is not"};
  for (const auto& entry : spec.at("layers").as_array()) {
    const auto id = string_or(entry.as_object(), "id");
    if (path_exists(machine_.paths().layer_file(id))) continue;
    const auto name = "layers/" + id + ".squashfs";
    auto blob = door_.call("flynn.blobstore/1", "Stat", {{"name", name}});
    if (blob) continue;
    if (blob.error().code != Code::not_found) return blob.error().context("look for the layer " + id);
    return Error{Code::invalid_argument,
                 "mountspecs.id " + id + ": the blobstore has no such layer; put it there as " + name};
  }
  return {};
}

// The scheduler writes the job down, so that it counts in placement and is seen by all that look at jobs.
http::HttpResponse HostApi::put_job(const Request& request) {
  auto id = id_of(request);
  if (!id) return failure(id.error());
  auto body = parse_json_object(request.body);
  if (!body) return failure(400, "syntax_error", body.error().message);
  if (agent_.unit(*id)) return failure(409, "object_exists", "host: job already exists");
  auto spec = job_spec_of_wire(*body, host_id_, *id);
  if (!spec) return failure(spec.error());
  if (auto there = check_app_and_layers(*spec); !there) return failure(there.error());
  // Who attaches before the job is there wants all that it says.
  (*spec)["attach"] = agent_.is_awaited(*id);
  const json::object claim{{"host_id", host_id_}, {"job", std::move(*spec)}};
  auto committed = door_.call(kScheduler, "Commit", {{"claims", json::array{claim}}, {"mode", "incremental"}});
  if (!committed) return failure(committed.error().context("hand the job to the scheduler"));
  if (const auto* rejected = find_array(committed->body, "rejected"); rejected != nullptr && !rejected->empty())
    return failure(
        409, "conflict",
        "the scheduler does not take the job: " +
            (rejected->front().is_object() ? string_or(rejected->front().get_object(), "reason") : std::string()));
  return json_answer(json::object{});
}

http::HttpResponse HostApi::stop_job(const Request& request) {
  auto id = id_of(request);
  if (!id) return failure(id.error());
  const auto unit = agent_.unit(*id);
  // Flynn's host answers so, and its clients take it for "nothing to stop".
  if (!unit) return failure(500, "unknown_error", kUnknownJob);
  if (unit->phase == Phase::down) return failure(500, "unknown_error", "host: job is already stopped");
  auto stopped = door_.call(kScheduler, "Stop", {{"job_id", *id}, {"reason", "asked to stop by the host's API"}});
  // Not a job of the cell (any more): nobody but us can end it.
  if (!stopped && stopped.error().code == Code::not_found) {
    auto ended = agent_.end(*id);
    if (!ended && ended.error().code == Code::unavailable) return failure(ended.error());
    return ended ? json_answer(json::object{}) : failure(500, "unknown_error", kUnknownJob);
  }
  return stopped ? json_answer(json::object{}) : failure(stopped.error().context("stop the job"));
}

http::HttpResponse HostApi::signal_job(const Request& request) {
  auto id = id_of(request);
  if (!id) return failure(id.error());
  const auto& text = request.segments[4];
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 1 || number > 64)
    return failure(400, "validation_error", "the signal must be a number, 1 to 64");
  if (!agent_.unit(*id)) return unknown_job();
  auto sent = agent_.signal(*id, number);
  return sent ? json_answer(json::object{}) : failure(sent.error());
}

http::HttpResponse HostApi::withdraw_job(const Request& request) {
  auto id = id_of(request);
  if (!id) return failure(id.error());
  auto withdrawn = agent_.withdraw(*id);
  if (!withdrawn && withdrawn.error().code == Code::unavailable) return failure(withdrawn.error());
  return withdrawn ? json_answer(json::object{}) : unknown_job();
}

http::HttpResponse HostApi::attach(const Request& request) {
  if (!request.streams) return failure(501, "unimplemented", "attach needs an HTTP connection of its own");
  auto body = parse_json_object(request.body);
  if (!body) return failure(400, "syntax_error", body.error().message);
  auto id = job_id_of_wire(host_id_, string_or(*body, "job_id"));
  if (!id) return failure(id.error().context("job_id"));
  const auto flags = int_or(*body, "flags");
  if ((flags & kLogs) != 0)
    return failure(501, "unimplemented",
                   "what a job said before is told by GET /apps/:a/log of the controller (flynn log)");
  AttachRequest wanted;
  wanted.job_id = *id;
  wanted.use_stdout = (flags & kStdout) != 0;
  wanted.use_stderr = (flags & kStderr) != 0;
  wanted.use_stdin = (flags & kStdin) != 0;
  wanted.use_state_bytes = true;
  wanted.rows = terminal_size(*body, "height");
  wanted.columns = terminal_size(*body, "width");
  wanted.deadline = Deadline::after(kAttachPatience);
  auto stream = agent_.attach(std::move(wanted));
  if (!stream) return failure(stream.error());
  Response response;
  response.stream = std::make_unique<http::StreamStart>();
  response.stream->head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flynn-attach/0\r\n\r\n";
  response.stream->source = std::move(*stream);
  response.stream->duplex = true;
  return response;
}

}  // namespace flynn::host
