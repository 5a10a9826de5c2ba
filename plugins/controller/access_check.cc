#include "access_check.h"

#include <algorithm>

#include "cluster_domain.h"
#include "http_routes.h"
#include "releases.h"
#include "service_owner.h"

namespace flynn::controller {
namespace {

ApiError forbidden(std::string message) { return {403, "forbidden", std::move(message), nullptr, false}; }

ApiError only_reads(const Identity& who) {
  return forbidden("the key \"" + who.name + "\" may only read; use one that may write (flynn access)");
}
ApiError of_one_app(const Identity& who) {
  return forbidden("the key \"" + who.name + "\" is for one app, and this is not of that app; use a key of all apps");
}

/// One request of a key that is for one app. Every answer is no unless it is shown to be of that app.
class AppCheck {
 public:
  AppCheck(Context& context, const Identity& who, const HttpRequest& request)
      : context_(context), who_(who), body_(object_in(request.body)) {}

  Verdict app(const std::string& reference) {
    auto found = find_app(context_, reference);
    if (!found) return found.error().status == 404 ? of_one_app(who_) : found.error();
    if (text_of(found->value, "id") != who_.app) return of_one_app(who_);
    name_ = text_of(found->value, "name");
    return std::nullopt;
  }
  Verdict release(const std::string& id) {
    auto found = find_release(context_, id);
    if (!found) return found.error().status == 404 ? of_one_app(who_) : found.error();
    return owned(text_of(found->value, "app_id"));
  }
  Verdict artifacts(const std::vector<std::string>& ids) {
    if (ids.empty()) return std::nullopt;
    auto releases = releases_of_app(context_, who_.app);
    if (!releases) return releases.error();
    for (const std::string& id : ids) {
      const std::string wanted = canonical_uuid(id).value_or(id);
      const bool used = std::any_of(releases->begin(), releases->end(), [&](const Kv& release) {
        const auto own = artifact_ids_of(release.value);
        return std::find(own.begin(), own.end(), wanted) != own.end();
      });
      if (!used) return of_one_app(who_);
    }
    return std::nullopt;
  }
  Verdict deployment(const std::string& id) {
    auto canonical = canonical_uuid(id);
    if (!canonical) return of_one_app(who_);
    auto note = context_.store.get(note_key("deployments", *canonical));
    if (!note) return note.error();
    return owned(*note ? text_of((*note)->value, "app") : "");
  }
  Verdict event(const std::string& id) {
    if (id.empty() || id.size() > 18 || id.find_first_not_of("0123456789") != std::string::npos)
      return of_one_app(who_);
    auto event = context_.store.get(Store::event_key(std::stoll(id)));
    if (!event) return event.error();
    return owned(*event ? text_of((*event)->value, "app") : "");
  }
  Verdict resource(const std::string& id) {
    auto canonical = canonical_uuid(id);
    if (!canonical) return of_one_app(who_);
    auto resource = context_.store.get("resources/" + *canonical);
    if (!resource) return resource.error();
    return only_app(*resource ? strings_or_empty((*resource)->value, "apps") : std::vector<std::string>{});
  }
  Verdict new_resource() {
    const auto apps = strings_or_empty(body_, "apps");
    if (apps.size() != 1) return of_one_app(who_);
    return app(apps.front());
  }
  /// What the body of a change names besides the app.
  Verdict named_in_body(bool id_is_a_release) {
    if (std::string id = text_of(body_, "id"); id_is_a_release && !id.empty())
      if (Verdict bad = release(id)) return bad;
    if (std::string id = text_of(body_, "release"); !id.empty())
      if (Verdict bad = release(id)) return bad;
    return artifacts(artifact_ids_of(body_));
  }
  /// Its jobs register services: in another app's, or the platform's, they would get requests that are not theirs.
  Verdict new_release() {
    if (Verdict bad = app(text_of(body_, "app_id"))) return bad;
    for (const std::string& service : services_of(object_of(body_, "processes"))) {
      if (Verdict bad = own_service(service)) return bad;
    }
    return artifacts(artifact_ids_of(body_));
  }
  /// Else a key of one app could lead the requests for another's name to itself, or the world to a private service.
  Verdict route() {
    const std::string service = text_of(body_, "service");
    if (!service.empty()) {
      if (Verdict bad = own_service(service)) return bad;
    }
    const std::string domain = lower(text_of(body_, "domain"));
    auto domains = cluster_domains(context_);
    if (!domains) return domains.error();
    const std::string cluster = domain_above(*domains, domain);
    const std::string own = name_ + "." + cluster;
    if (!cluster.empty() && domain != own && !domain.ends_with("." + own))
      return forbidden("the key \"" + who_.name + "\" may take no other name below " + cluster + " than " + own);
    auto taken = is_name_of_another(context_, domain, who_.app);
    if (!taken) return taken.error();
    if (*taken) return forbidden("the key \"" + who_.name + "\" may not take " + domain + ": it is of another app");
    return std::nullopt;
  }

 private:
  Verdict own_service(const std::string& service) {
    auto owns = owns_service(context_, name_, service);
    if (!owns) return owns.error();
    if (*owns) return std::nullopt;
    return forbidden("the key \"" + who_.name + "\" may use services of its app alone (" + name_ +
                     "-web, for one), not " + service);
  }
  static json::object object_in(const std::string& body) {
    auto parsed = parse_json_object(body);
    return parsed ? std::move(*parsed) : json::object{};  // what is no object is refused by the handler
  }
  Verdict owned(const std::string& app_id) const { return app_id == who_.app ? Verdict{} : Verdict(of_one_app(who_)); }
  Verdict only_app(const std::vector<std::string>& apps) const {
    return apps.size() == 1 && apps.front() == who_.app ? Verdict{} : Verdict(of_one_app(who_));
  }

  Context& context_;
  const Identity& who_;
  const json::object body_;
  std::string name_;
};

Verdict check_segments(AppCheck& check, const Route& route, const Params& params) {
  if (Verdict bad = check.app(params.at(0))) return bad;
  const std::string* release = route.param(":r", params);
  return release != nullptr ? check.release(*release) : std::nullopt;
}

Verdict check_app_key(Context& context, const Identity& who, const Route& route, const HttpRequest& request,
                      const Params& params) {
  AppCheck check(context, who, request);
  switch (route.access) {
    case Access::open:
    case Access::any_key:
    case Access::list_apps:
      return std::nullopt;
    case Access::read_app:
      return check_segments(check, route, params);
    case Access::route_app:
    case Access::write_app: {
      if (Verdict bad = check_segments(check, route, params)) return bad;
      if (route.access == Access::route_app) return check.route();
      const bool takes_release = route.pattern == "/apps/:a/deploy" || route.pattern == "/apps/:a/release";
      return check.named_in_body(takes_release);
    }
    case Access::new_release:
      return check.new_release();
    case Access::release:
      return check.release(params.at(0));
    case Access::artifact:
      return check.artifacts({params.at(0)});
    case Access::deployment:
      return check.deployment(params.at(0));
    case Access::event:
      return check.event(params.at(0));
    case Access::list_events: {
      const std::string* app = request.query_value("app_id");
      return check.app(app != nullptr ? *app : "");
    }
    case Access::new_resource:
      return check.new_resource();
    case Access::resource:
      return check.resource(params.at(1));
    case Access::read_cluster:
    case Access::admin:
      break;
  }
  return of_one_app(who);
}

}  // namespace

Verdict check_access(Context& context, const Identity& who, const Route& route, const HttpRequest& request,
                     const Params& params) {
  if (who.is_admin()) return std::nullopt;
  if (who.read_only && (is_write(request.method) || route.access == Access::admin)) return only_reads(who);
  return who.app.empty() ? std::nullopt : check_app_key(context, who, route, request, params);
}

bool may_change_app(Context& context, const Identity& who, const std::string& app) {
  if (who.read_only) return false;
  if (who.app.empty()) return true;
  auto found = find_app(context, app);
  return found && text_of(found->value, "id") == who.app;
}

HttpResponse only_app(Context& context, const Identity& who) {
  auto app = context.store.get(app_key(who.app));
  if (!app) return error_answer(app.error());
  json::array list;
  if (*app) list.push_back(public_form((*app)->value));
  return json_answer(list);
}

}  // namespace flynn::controller
