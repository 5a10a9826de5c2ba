/// What every handler of the API reaches: the door, the state, the caches. Owned by Controller.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "access_audit.h"
#include "access_keys.h"
#include "answer.h"
#include "backup.h"
#include "event_hub.h"
#include "event_index.h"
#include "flynn/sdk/gate.h"
#include "flynn/sdk/host.h"
#include "ident.h"
#include "job_cache.h"
#include "router_table.h"
#include "store.h"

namespace flynn::controller {

struct Settings {
  std::string configured_domain = "flynn.localhost";  // the cluster's own is in the store: cluster_domain.h
  std::string slot = "controller";
  std::string data_dir;
  std::vector<std::string> auth_keys;  // secret
  std::string stacks_file, layers_dir, ca_cert_file;
  std::string advertise;  // "address:port" that discovery and the router reach
  std::int64_t events_max = 100'000;
  std::int64_t tcp_port_first = 3000, tcp_port_last = 3500;  // all that TCP routes may have
  std::int64_t process_memory_bytes = 1LL << 30;
};

struct Context {
  Context(Door& door_in, Log& log_in, Settings settings_in, std::function<void()> wake_streams)
      : door(door_in),
        log(log_in),
        settings(std::move(settings_in)),
        store(door, settings.events_max),
        events(settings.events_max),
        audit({settings.data_dir + "/access-log"}),
        backups(door, log, store),
        hub(wake_streams),
        lists(std::move(wake_streams)) {
    root_keys.set(settings.auth_keys, "");
  }

  Door& door;
  Log& log;
  Settings settings;
  Store store;
  EventIndex events;
  RootKeys root_keys;
  AccessAudit audit;
  Backups backups;
  JobCache jobs;
  EventHub hub;
  EventHub lists;  // the items of lists that are watched (list_stream.h)
  std::atomic<std::int64_t> list_items{0};
  /// Runs `task` later, in order, off the request's thread. Set before the first request.
  std::function<void(std::string what, std::function<void()> task)> later;
  /// A deployment of a system app was written. Set before the first request.
  std::function<void()> plugins_changed = [] {};
  /// What the instance in force alone may do of its own accord (tasks, reconciler, system apps) is done inside.
  Gate gate;
  /// The instance is being stopped: leave unfinished work to the next one.
  std::atomic<bool> stopping{false};
  /// A migration of the domain could not go on, and must be tried again.
  std::atomic<bool> domain_migration_waits{false};
  /// A deletion could not be recorded, and must be tried again.
  std::atomic<bool> deletions_wait{false};
  /// Deployments or scale requests have changed in the store.
  std::atomic<bool> work_changed{true};

  void kick() {
    work_changed = true;
    jobs.notify();
  }
};

/// An app by name or id; a bare 404 when there is none.
Outcome<Kv> find_app(Context& context, const std::string& reference);
Outcome<Kv> find_release(Context& context, const std::string& reference);
/// Reads `prefix + id` for each id; absent ones are left out.
Outcome<std::vector<Kv>> read_all(Context& context, const std::string& prefix, const std::vector<std::string>& ids);

/// A plugin's own durable notes (docs/state.md); ours are indexes and locks.
inline std::string note_key(std::string_view kind, std::string_view name) {
  return "plugins/controller/" + std::string(kind) + "/" + std::string(name);
}
inline std::string app_key(std::string_view id) { return "apps/" + std::string(id); }
inline std::string app_name_key(std::string_view name) { return "app-names/" + std::string(name); }
inline std::string release_key(std::string_view id) { return "releases/" + std::string(id); }
inline std::string formation_key(std::string_view app, std::string_view release) {
  return "formations/" + std::string(app) + "/" + std::string(release);
}
inline std::string deployment_key(std::string_view app, std::string_view id) {
  return "deployments/" + std::string(app) + "/" + std::string(id);
}
inline std::string scale_key(std::string_view app, std::string_view id) {
  return "scale-requests/" + std::string(app) + "/" + std::string(id);
}

}  // namespace flynn::controller
