#include "pipeline.h"

#include <algorithm>
#include <cstdio>

#include "build_folder.h"
#include "build_job.h"
#include "platform_api.h"
#include "release_maker.h"
#include "slug_packer.h"

namespace flynn::builder {
namespace {

constexpr auto kPackTime = 600s;

class Stopwatch {
 public:
  std::int64_t lap_ms() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

json::object merged_env(const json::object& release, const json::object& more) {
  const json::object* env = find_object(release, "env");
  json::object merged = env != nullptr ? *env : json::object{};
  for (const auto& [name, value] : more) merged[name] = value;
  return merged;
}

std::string size_text(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes < (1 << 20) ? "%.1fKiB" : "%.1fMiB",
                static_cast<double>(bytes) / (bytes < (1 << 20) ? 1024.0 : 1024.0 * 1024.0));
  return text;
}

}  // namespace

std::string phases_line(const Phases& phases) {
  std::string text = "-----> Timing:";
  std::int64_t total = 0;
  char part[64];
  for (const auto& [name, ms] : phases) {
    std::snprintf(part, sizeof part, " %s %.1f s,", name.c_str(), static_cast<double>(ms) / 1000.0);
    text += part;
    total += ms;
  }
  std::snprintf(part, sizeof part, " total %.1f s", static_cast<double>(total) / 1000.0);
  return text + part;
}

std::vector<RunningBuild> Pipeline::running() const {
  std::lock_guard lock(mutex_);
  return running_;
}

Result<BuildOutcome> Pipeline::run(BuildRequest request, const OpenSource& open, const CloseSource& close,
                                   const LineSink& line, const Cancel& cancel) {
  {
    std::lock_guard lock(mutex_);
    auto busy = std::find_if(running_.begin(), running_.end(),
                             [&](const auto& build) { return build.app_id == request.app_id; });
    if (busy != running_.end()) {
      return Error{Code::conflict, "another build of this app is running (" + busy->build_id + ", since " +
                                       busy->since + "); try again when it is done"};
    }
    running_.push_back({request.build_id, request.app_id, now_rfc3339()});
  }
  auto outcome = build(request, open, close, line, cancel);
  std::lock_guard lock(mutex_);
  std::erase_if(running_, [&](const auto& build) { return build.build_id == request.build_id; });
  return outcome;
}

Result<BuildOutcome> Pipeline::build(BuildRequest& request, const OpenSource& open, const CloseSource& close,
                                     const LineSink& line, const Cancel& cancel) {
  PlatformApi api(door_);
  Stopwatch watch;
  auto lap = [&](const char* name) { request.phases.emplace_back(name, watch.lap_ms()); };
  auto app = api.find("/apps/" + request.app_id);
  if (!app) return app.error().context("Error retrieving app");
  if (!*app) return Error{Code::not_found, "Unknown app \"" + request.app_id + "\""};
  auto previous = api.find("/apps/" + request.app_id + "/release");
  if (!previous) return previous.error().context("Error retrieving the app's release");
  auto build_layers = api.stack("buildstack");
  if (!build_layers) return build_layers.error();
  auto run_layers = api.stack("run");
  if (!run_layers) return run_layers.error();

  NewRelease wanted{request.app_id,
                    string_or(**app, "name"),
                    request.rev,
                    request.branch,
                    previous->value_or(json::object{}),
                    {},
                    {},
                    {},
                    *run_layers};
  wanted.env = merged_env(wanted.previous, request.env);
  auto folder = BuildFolder::make(config_, request.build_id, wanted.env);
  if (!folder) return folder.error();
  line("-----> Building " + wanted.app_name + "...");
  auto source = open();
  if (!source) return source.error();
  AttachOptions options{Deadline::after(config_.build_timeout), config_.silence_notice, cancel, [&] { lap("export"); }};
  BuildJob job{request.app_id, request.rev, string_or(wanted.previous, "id"), *build_layers};
  auto built = run_build_job(api, config_, job, *folder, std::move(*source), line, options);
  // A source that broke off is the reason for whatever the build made of it.
  if (auto whole = close(); !whole && (built || built.error().code != Code::cancelled))
    return whole.error().context("export the source");
  if (!built && built.error().code == Code::deadline_exceeded)
    return Error{Code::deadline_exceeded,
                 "Build failed: it took longer than " + std::to_string(config_.build_timeout.count() / 1000) +
                     " s and was stopped. If it needs longer, the operator raises build_timeout_ms of the builder"};
  if (!built) return built.error().context("Build failed");
  auto result = folder->result();
  if (!result) return result.error();
  wanted.process_types = result->process_types;
  lap("build");

  auto slug = pack_slug(folder->slug_tree(), folder->slug_file(), result->source_time, Deadline::after(kPackTime));
  if (!slug) return slug.error().context("pack the slug");
  wanted.slug = *slug;
  lap("pack");
  line("-----> Uploading slug to blobstore");
  if (auto uploaded = api.upload(*slug, folder->slug_file()); !uploaded) return uploaded.error();
  line("-----> Compiled slug size is " + size_text(slug->length));
  lap("upload");
  if (cancel.asked()) return Error{Code::cancelled, "given up before the release was made"};

  line("-----> Creating release...");
  ReleaseMaker maker(api, config_, line, cancel);
  auto made = maker.create(wanted);
  if (!made) return made.error();
  lap("release");
  if (auto kept = folder->keep_cache(config_, request.app_id); !kept)
    line(" !     " + kept.error().message + " (the next build begins with the older cache)");
  if (auto deployed = maker.deploy(wanted, made->release_id); !deployed) return deployed.error();
  lap("deploy");
  line("=====> Application deployed");
  line("       release " + made->release_id);
  for (const std::string& url : maker.urls(request.app_id)) line("       " + url);
  line(phases_line(request.phases));
  return BuildOutcome{made->release_id, made->artifact_id, wanted.process_types, request.phases};
}

}  // namespace flynn::builder
