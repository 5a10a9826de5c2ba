#include "domain_migration.h"

#include "bootstrap.h"
#include "cluster_certificate.h"
#include "cluster_domain.h"
#include "http_routes.h"
#include "validation.h"

namespace flynn::controller {
namespace {

std::string record_key() { return note_key("domain-migration", "current"); }

/// A name that clients look up: no wildcard, no port, no address.
Verdict check_new_domain(const std::string& domain) {
  const std::string last = domain.substr(domain.rfind('.') + 1);
  const bool number = last.find_first_not_of("0123456789") == std::string::npos;
  if (domain.starts_with("*.") || number || !is_domain("controller." + domain))
    return validation("domain", "\"" + domain + "\" is no host name (like example.com, without wildcard or port)");
  return std::nullopt;
}

Event event_of(const json::object& record, const std::string& error) {
  return {"", "domain_migration", text_of(record, "id"),
          json::object{{"domain_migration", public_form(record)}, {"error", error}}};
}

/// The private key is ours alone: members that begin with "_" are never shown.
json::object new_record(const std::string& domain, const std::string& old_domain, const std::string& authority,
                        const KeyPair& certificate) {
  return {{"v", 1},
          {"id", new_uuid()},
          {"domain", domain},
          {"old_domain", old_domain},
          {"tls_cert", {{"ca_cert", authority}, {"cert", certificate.cert}, {"pin", pin_of(certificate.cert)}}},
          {"_key", certificate.key},
          {"created_at", now_text()}};
}

/// From here on new apps are below the new domain.
Verdict switch_domain(Context& context, const std::string& domain) {
  auto config = context.store.get(kClusterConfigKey);
  if (!config) return config.error();
  if (!*config) return service_unavailable("the cluster is still being set up");
  json::object changed = (*config)->value;
  write_domains(moved_to(domains_of(changed, ""), domain), changed);
  if (changed == (*config)->value) return std::nullopt;
  Change change;
  change.require(kClusterConfigKey, (*config)->mod_revision).put(kClusterConfigKey, std::move(changed));
  if (Verdict bad = context.store.must_commit(change)) return bad;
  context.log.info("domain_changed", {{"domain", domain}});
  return std::nullopt;
}

/// The certificate is changed last: until then the client's connection by the old pin is good.
Verdict finish(Context& context, const Kv& record) {
  const std::string domain = text_of(record.value, "domain");
  const std::string cert = text_of(object_of(record.value, "tls_cert"), "cert");
  Change change;
  if (Verdict bad = install_certificate(context, domain, {cert, text_of(record.value, "_key")}, change)) return bad;
  json::object ended = record.value;
  ended["finished_at"] = now_text();
  change.require(record.key, record.mod_revision).remove(record.key).event(event_of(ended, ""));
  if (Verdict bad = context.store.must_commit(change)) return bad;
  write_pin(context, cert);
  context.log.info("domain_migrated",
                   {{"domain", domain}, {"old_domain", text_of(record.value, "old_domain")}, {"pin", pin_of(cert)}});
  return std::nullopt;
}

void give_up(Context& context, const Kv& record, const std::string& why) {
  Change change;
  change.require(record.key, record.mod_revision).remove(record.key).event(event_of(record.value, why));
  if (auto done = context.store.commit(change); !done) {
    context.domain_migration_waits = true;
    return;
  }
  context.log.error("domain_not_migrated", {{"domain", text_of(record.value, "domain")}, {"error", why}});
}

/// The steps in the order in which each may rely on those before. An error: not now, but later.
Verdict carry_out(Context& context, const Kv& record) {
  const std::string domain = text_of(record.value, "domain"), old_domain = text_of(record.value, "old_domain");
  auto domains = cluster_domains(context);
  if (!domains) return domains.error();
  if (domains->current != domain) {
    Verdict bad = add_system_routes(context, domain);
    if (bad && bad->status >= 500) return bad;
    if (bad) {  // nothing has been changed yet, and waiting would not help
      give_up(context, record, bad->message);
      return std::nullopt;
    }
    if (Verdict late = switch_domain(context, domain)) return late;
  }
  context.plugins_changed();  // our own release shows the domain
  // After the switch: an app that is made meanwhile sees the new domain by itself.
  auto copied = copy_http_routes(context, old_domain, domain);
  if (!copied) return copied.error();
  context.log.info("routes_copied", {{"domain", domain}, {"routes", static_cast<std::int64_t>(copied->added)}});
  for (const std::string& place : copied->skipped)
    context.log.warn("route_not_copied", {{"route", place}, {"error", "the name is another app's"}});
  return finish(context, record);
}

Outcome<HttpResponse> put_domain(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto begun = begin_domain_migration(context, text_of(*asked, "domain"), text_of(*asked, "old_domain"));
  if (!begun) return begun.error();
  return json_answer(*begun);
}

}  // namespace

Outcome<json::object> begin_domain_migration(Context& context, const std::string& asked_domain,
                                             const std::string& asked_old_domain, const json::object& config_members) {
  const std::string domain = lower(asked_domain), old_domain = lower(asked_old_domain);
  if (Verdict bad = check_new_domain(domain)) return *bad;
  auto running = context.store.get(record_key());
  if (!running) return running.error();
  if (*running)
    return conflict(
        "the cluster is being migrated to " + text_of((*running)->value, "domain") + ": wait for the end of that",
        public_form((*running)->value));
  auto config = context.store.get(kClusterConfigKey);
  if (!config) return config.error();
  if (!*config) return service_unavailable("the cluster is still being set up");
  const ClusterDomains domains = domains_of((*config)->value, "");
  if (old_domain != lower(domains.current))
    return validation("old_domain", "is \"" + old_domain + "\", but the cluster's domain is " + domains.current);
  if (domain == old_domain) return validation("domain", domain + " is the cluster's domain already");
  if (Verdict bad = check_system_names(context, domain)) return *bad;
  auto authority = authority_certificate(context);
  if (!authority) return authority.error();
  auto certificate = new_certificate(context, moved_to(domains, domain));
  if (!certificate) return certificate.error();

  json::object record = new_record(domain, old_domain, *authority, *certificate);
  json::object changed = (*config)->value;
  for (const auto& entry : config_members) changed[entry.key()] = entry.value();
  Change change;
  // With its revision, lest another migration ended since it was read.
  change.require(kClusterConfigKey, (*config)->mod_revision).put(kClusterConfigKey, std::move(changed));
  change.require(record_key(), 0).put(record_key(), record).event(event_of(record, ""));
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  context.log.info("domain_migration_begun", {{"domain", domain}, {"old_domain", old_domain}});
  context.later("migrate the domain", [&context] { resume_domain_migration(context); });
  return public_form(record);
}

void resume_domain_migration(Context& context) {
  auto record = context.store.get(record_key());
  if (record && !*record) return;
  Verdict bad = record ? carry_out(context, **record) : Verdict(record.error());
  if (!bad || context.stopping) return;  // the next instance goes on
  context.log.warn("domain_migration_waits", {{"error", bad->message}});
  context.domain_migration_waits = true;
}

Outcome<bool> domain_migration_runs(Context& context) {
  auto record = context.store.get(record_key());
  if (!record) return record.error();
  return record->has_value();
}

void add_domain_routes(RouterTable& table) { table.add("PUT", "/domain", put_domain); }

}  // namespace flynn::controller
