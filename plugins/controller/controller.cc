#include "controller.h"

#include "apps.h"
#include "bootstrap.h"
#include "cluster_domain.h"
#include "deletions.h"
#include "domain_migration.h"
#include "list_stream.h"

namespace flynn::controller {
namespace {

constexpr const char* kDiscovery = "flynn.discovery/1";
constexpr std::chrono::milliseconds kDiscoveryTimeout{3000};
/// Three renewals fit in.
constexpr std::int64_t kServiceTtlMs = 10'000;

ListenerOptions options_of(ListenerOptions options, Api& api) {
  options.name = "ctl";
  options.before_body = [&api](HttpRequest& request) { return api.refuse_stranger(request); };
  return options;
}

}  // namespace

Controller::Controller(Door& door, Log& log, Settings settings, ListenerOptions listener,
                       std::chrono::milliseconds keep_alive)
    : context_(door, log, std::move(settings), [this] { pump_.wake(); }),
      pump_("ctl", keep_alive),
      api_(context_),
      listener_(
          options_of(std::move(listener), api_), [this](HttpRequest& request) { return api_.handle(request); }, pump_),
      events_(door, log, "events/", [this](const StoreEvent& event) { publish_event(context_, event); }),
      formations_(door, log, "formations/", [this](const StoreEvent& event) { publish_formation(context_, event); }),
      deletions_(
          door, log, note_key(kDeletionKind, ""),
          [this](const StoreEvent& event) {
            if (event.kind == EventKind::put) look_for_deletions();
          },
          [this] { look_for_deletions(); }),
      jobs_mirror_(door, log, "jobs/status/",
                   {[this](const RangeResult& all) { context_.jobs.replace(all.kvs); },
                    [this](std::int64_t, const std::vector<StoreEvent>& events) { context_.jobs.apply(events); }}),
      tasks_(log, context_.gate),
      reconciler_(context_),
      system_apps_(context_) {
  context_.plugins_changed = [this] { system_apps_.wake(); };
  context_.later = [this](std::string what, std::function<void()> task) {
    tasks_.add(std::move(what), std::move(task));
  };
}

Controller::~Controller() { stop(); }

Result<void> Controller::start() {
  std::string problem = pump_.start();
  if (!problem.empty()) return Error{Code::internal, problem};
  events_.start("ctl-events");
  formations_.start("ctl-forms");
  deletions_.start("ctl-deletions");
  jobs_mirror_.start("ctl-jobs");
  tasks_.start();
  reconciler_.start([this] { tick(); });
  system_apps_.start();
  return {};
}

Result<void> Controller::prepare(UniqueFd listening) {
  std::string problem = listener_.prepare(std::move(listening));
  if (!problem.empty()) return Error{Code::internal, problem};
  return {};
}

// Callers wait: nothing but what opens the gate and wakes who waits at it. The rest is a task.
Result<void> Controller::activate() {
  context_.stopping = false;
  context_.root_keys.reload();
  context_.backups.resume();
  tasks_.drop();  // of requests that came while another instance worked: their marks are found below
  bootstrapping_ = false;
  register_anew_ = true;
  reconciler_.begin();
  context_.gate.open();
  tasks_.add("note deletions of before", [this] {
    if (Verdict bad = note_marked_apps(context_)) context_.log.warn("deletions_not_noted", {{"error", bad->message}});
  });
  look_for_deletions();
  tasks_.add("resume the migration of the domain", [this] { resume_domain_migration(context_); });
  tasks_.add("end the records of interrupted backups", [this] { context_.backups.end_interrupted(); });
  tasks_.add("index the events", [this] {
    if (Verdict bad = context_.events.catch_up(context_.store, context_.stopping))
      context_.log.warn("events_not_indexed", {{"error", bad->message}});  // a filter tries again
  });
  context_.jobs.notify();
  system_apps_.wake();
  listener_.resume();
  return {};
}

void Controller::quiesce() {
  context_.stopping = true;
  listener_.quiesce();
  context_.gate.close();
  context_.jobs.notify();  // a task that waits for jobs looks whether it must end
  context_.backups.stop();
  context_.gate.wait_empty();
}

void Controller::drain(std::chrono::steady_clock::time_point deadline) {
  listener_.drain(deadline);
  pump_.wait_empty(deadline);
}

void Controller::stop() {
  quiesce();
  system_apps_.stop();
  reconciler_.stop();
  tasks_.stop();
  listener_.stop();
  pump_.stop();
  events_.stop();
  formations_.stop();
  deletions_.stop();
  jobs_mirror_.stop();
}

Result<json::object> Controller::status() {
  auto apps = context_.store.count("apps/");
  if (!apps) return Error{Code::unavailable, apps.error().message};
  auto domains = cluster_domains(context_);
  if (!domains) return Error{Code::unavailable, domains.error().message};
  return json::object{{"domain", domains->current},
                      {"apps", *apps},
                      {"deployments_running", static_cast<std::int64_t>(reconciler_.deployments_running())},
                      {"connections", static_cast<std::int64_t>(listener_.connections())},
                      {"streams", static_cast<std::int64_t>(pump_.count())}};
}

void Controller::look_for_deletions() {
  tasks_.add("carry out deletions", [this] { carry_out_deletions(context_); });
}

void Controller::tick() {
  register_service();
  if (context_.deletions_wait.exchange(false)) look_for_deletions();
  if (context_.domain_migration_waits.exchange(false))
    tasks_.add("resume the migration of the domain", [this] { resume_domain_migration(context_); });
  if (bootstrapped_ || bootstrapping_.exchange(true)) return;
  tasks_.add("bootstrap", [this] {
    Verdict bad = bootstrap(context_);
    if (bad) context_.log.warn("bootstrap_waits", {{"error", bad->message}});
    bootstrapped_ = !bad;
    bootstrapping_ = false;
  });
}

/// The router finds us by this; without it the API is reachable at its own address only.
void Controller::register_service() {
  if (context_.settings.advertise.empty()) return;
  if (register_anew_.exchange(false)) lease_.clear();  // by now the registration may be under another instance's
  json::object ask{{"service", "controller"}, {"id", context_.settings.slot}};
  if (!lease_.empty()) {
    ask["lease"] = lease_;
    auto renewed = context_.door.call(kDiscovery, "Renew", ask, kDiscoveryTimeout);
    if (renewed || renewed.error().code != Code::not_found) return;
    ask.erase("lease");
  }
  ask["addr"] = context_.settings.advertise;
  ask["proto"] = "http";
  ask["ttl_ms"] = kServiceTtlMs;
  auto registered = context_.door.call(kDiscovery, "Register", ask, kDiscoveryTimeout);
  lease_ = registered ? text_of(registered->body, "lease") : "";
  if (!registered)
    context_.log.warn("not_registered", {{"service", "controller"}, {"error", registered.error().message}});
}

}  // namespace flynn::controller
