/// Jobs: what runs, one-off runs, kill, attach.
#include "context.h"
#include "releases.h"
#include "system_apps.h"
#include "validation.h"

namespace flynn::controller {
namespace {

constexpr const char* kScheduler = "flynn.scheduler/1";
constexpr std::chrono::milliseconds kRunTimeout{30'000};

ApiError scheduler_error(const Error& error, const char* doing) {
  // Of a POST that may have happened nothing but `unavailable` may be repeated blindly.
  bool retry = error.code == Code::unavailable;
  if (error.code == Code::resource_exhausted || error.code == Code::failed_precondition ||
      error.code == Code::invalid_argument) {
    return validation("", std::string(doing) + ": " + error.message);
  }
  return unknown_error(std::string(doing) + ": " + error.message, retry);
}

Outcome<HttpResponse> list_jobs(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (!plugin_slot(app->value).empty()) {
    auto jobs = jobs_of_plugin(context, app->value);
    if (!jobs) return jobs.error();
    return json_answer(*jobs);
  }
  json::array out;
  for (json::object& job : context.jobs.of_app(text_of(app->value, "id"))) out.push_back(std::move(job));
  return json_answer(out);
}

Outcome<HttpResponse> list_active_jobs(Context& context, const HttpRequest&, const Params&) {
  json::array out;
  for (json::object& job : context.jobs.active()) out.push_back(std::move(job));
  return json_answer(out);
}

Outcome<json::object> find_job(Context& context, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto status = context.jobs.find(job_uuid(params[1]));
  if (!status || text_of(*status, "app_id") != text_of(app->value, "id")) return not_found("job " + params[1]);
  return std::move(*status);
}

Outcome<HttpResponse> get_job(Context& context, const HttpRequest&, const Params& params) {
  auto status = find_job(context, params);
  if (!status) return status.error();
  return json_answer(job_of_status(*status));
}

/// The original's scheduler reported jobs by this. Here the host that runs one knows it: the answer is what it says.
Outcome<HttpResponse> put_job(Context& context, const HttpRequest& request, const Params& params) {
  return get_job(context, request, params);
}

Outcome<HttpResponse> kill_job(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (Verdict bad = refuse_for_plugin(app->value, "it can be replaced (flynn plugin swap), but not killed"))
    return *bad;
  auto status = find_job(context, params);
  if (!status) return status.error();
  if (text_of(*status, "state") == "down") return validation("", "the job has already ended");
  auto stopped = context.door.call(kScheduler, "Stop", {{"job_id", text_of(*status, "id")}});
  if (!stopped && stopped.error().code == Code::not_found) return not_found("job");
  if (!stopped) return scheduler_error(stopped.error(), "stop the job");
  return empty_answer();
}

json::object resources_of(const json::object& asked) {
  json::object out;
  auto take = [&](const char* from, const char* to) {
    json::object spec = object_of(asked, from);
    std::int64_t value = number_of(spec, "limit", number_of(spec, "request"));
    if (value > 0) out[to] = value;
  };
  take("memory", "memory_bytes");
  take("cpu", "cpu_millis");
  take("max_fd", "max_fd");
  take("max_procs", "pids_max");
  return out;
}

/// The wire's NewJob as the scheduler wants it.
Outcome<json::object> scheduler_job(Context& context, const json::object& asked, const std::string& app_id,
                                    const json::object& release, bool attach) {
  json::object env = object_of(asked, "env");
  if (Verdict bad = check_env("env", env)) return *bad;
  if (Verdict bad = check_meta(object_of(asked, "meta"))) return *bad;
  json::object job{{"app_id", app_id},
                   {"release_id", text_of(release, "id")},
                   {"kind", "one_off"},
                   {"type", ""},
                   {"env", std::move(env)},
                   {"release_env", flag_of(asked, "release_env")},
                   {"meta", object_of(asked, "meta")},
                   {"tty", flag_of(asked, "tty")},
                   {"columns", number_of(asked, "tty_columns", 80)},
                   {"lines", number_of(asked, "tty_lines", 24)},
                   {"attach", attach},
                   {"stdin", attach},
                   {"log", !flag_of(asked, "disable_log")}};
  json::array args;
  for (std::string& arg : strings_or_empty(asked, "args")) args.push_back(json::value(arg));
  if (!args.empty()) job["args"] = std::move(args);
  if (json::object resources = resources_of(object_of(asked, "resources")); !resources.empty())
    job["resources"] = std::move(resources);
  std::vector<std::string> artifacts = artifact_ids_of(asked);
  if (artifacts.empty()) {
    if (artifact_ids_of(release).empty()) return validation("release", "cannot be run: it has no artifacts");
    return job;
  }
  auto layers = layers_of(context, artifacts);
  if (!layers) return layers.error();
  job["layers"] = std::move(*layers);
  return job;
}

Outcome<HttpResponse> attach_answer(Context& context, const json::object& asked, const std::string& job_id) {
  json::object attach{
      {"job_id", job_id}, {"stdin", true}, {"stdout", true}, {"stderr", !flag_of(asked, "tty")}, {"replay", true}};
  auto attached = context.door.call("flynn.host/1", "Attach", attach, kRunTimeout);
  if (!attached || attached->fds.empty()) {
    std::string why = attached ? "the host gave no stream" : attached.error().message;
    (void)context.door.call(kScheduler, "Stop", {{"job_id", job_id}});  // nobody will ever see what it prints
    return unknown_error("attach wait failed: " + why);
  }
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  response.stream->head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: flynn-attach/0\r\n\r\n";
  response.stream->source = std::move(attached->fds.front());
  response.stream->duplex = true;
  return response;
}

Outcome<HttpResponse> run_job(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (Verdict bad = refuse_for_plugin(app->value, "it has no container to run a command in")) return *bad;
  std::string wanted = text_of(*asked, "release");
  if (wanted.empty()) return validation("release", "must be set");
  auto release = find_release(context, wanted);
  if (!release) return release.error().status == 404 ? validation("release", "names no release") : release.error();
  bool attach = request.upgrade == "flynn-attach/0";
  if (attach && !request.streams)
    return ApiError{501, "unimplemented", "attach needs an HTTP connection of its own", nullptr, false};
  std::string app_id = text_of(app->value, "id");
  auto job = scheduler_job(context, *asked, app_id, release->value, attach);
  if (!job) return job.error();
  auto run = context.door.call(kScheduler, "Run", *job, kRunTimeout);
  if (!run) return scheduler_error(run.error(), "run the job");
  std::string uuid = text_of(run->body, "job_id");
  std::string host = text_of(run->body, "host_id");
  if (attach) return attach_answer(context, *asked, uuid);
  std::string now = now_text();
  return json_answer(json::object{{"id", host + "-" + uuid},
                                  {"uuid", uuid},
                                  {"host_id", host},
                                  {"app", app_id},
                                  {"release", text_of(release->value, "id")},
                                  {"type", ""},
                                  {"state", "pending"},
                                  {"args", array_of(*job, "args")},
                                  {"meta", object_of(*job, "meta")},
                                  {"created_at", now},
                                  {"updated_at", now}});
}

}  // namespace

void add_job_routes(RouterTable& table) {
  table.add("POST", "/apps/:a/jobs", run_job);
  table.add("GET", "/apps/:a/jobs", list_jobs);
  table.add("GET", "/apps/:a/jobs/:j", get_job);
  table.add("PUT", "/apps/:a/jobs/:j", put_job);
  table.add("DELETE", "/apps/:a/jobs/:j", kill_job);
  table.add("GET", "/active-jobs", list_active_jobs);
}

}  // namespace flynn::controller
