#include "route_store.h"

#include "route_rules.h"

namespace flynn::controller {
namespace {

constexpr std::string_view kOwner = "controller/apps/";

std::string place_key(const std::string& type, const std::string& place) {
  return note_key("route-places", type + "/" + sha256_hex(place));
}

std::string place_key(const json::object& route) {
  std::string place = text_of(route, "type") == "tcp" ? std::to_string(number_of(route, "port"))
                                                      : text_of(route, "domain") + text_of(route, "path");
  return place_key(text_of(route, "type"), place);
}

Event route_event(const char* kind, const json::object& route) {
  return {app_of_route(route), kind, text_of(route, "id"), public_form(route)};
}

}  // namespace

std::string route_key(const std::string& type, const std::string& id) { return "routes/" + type + "/" + id; }

std::string route_owner(const std::string& app_id) { return std::string(kOwner) + app_id; }

std::string app_of_route(const json::object& route) {
  const std::string owner = text_of(route, "parent_ref");
  return owner.starts_with(kOwner) ? owner.substr(kOwner.size()) : "";
}

std::string http_place_key(const std::string& place) { return place_key("http", place); }

Outcome<std::vector<json::object>> all_routes(Context& context, const std::string& type) {
  auto routes = context.store.range("routes/" + type + "/");
  if (!routes) return routes.error();
  std::vector<json::object> out;
  for (Kv& kv : *routes) out.push_back(std::move(kv.value));
  return out;
}

Outcome<std::vector<json::object>> all_routes_but(Context& context, const json::object& route) {
  auto others = all_routes(context, text_of(route, "type"));
  if (!others) return others.error();
  std::erase_if(*others, [&](const json::object& other) { return text_of(other, "id") == text_of(route, "id"); });
  return others;
}

json::object new_route(const std::string& type, const std::string& app_id, const json::object& asked) {
  std::string now = now_text();
  // An id or owner that the client sends is from another app or cluster: never taken.
  return {{"type", type},
          {"id", new_uuid()},
          {"parent_ref", route_owner(app_id)},
          {"service", text_of(asked, "service")},
          {"port", number_of(asked, "port")},
          {"leader", flag_of(asked, "leader")},
          {"drain_backends", flag_of(asked, "drain_backends")},
          {"created_at", now},
          {"updated_at", now}};
}

Outcome<json::object> store_route(Context& context, json::object route) {
  Change change;
  change.require(place_key(route), 0).put(place_key(route), {{"route", text_of(route, "id")}});
  change.put(route_key(text_of(route, "type"), text_of(route, "id")), route).event(route_event("route", route));
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return duplicate_route(route);
  return route;
}

Verdict replace_route(Context& context, const Kv& before, const json::object& after) {
  const std::string from = place_key(before.value), to = place_key(after);
  Change change;
  change.require(before.key, before.mod_revision).put(before.key, after).event(route_event("route", after));
  if (from != to) change.require(to, 0).put(to, {{"route", text_of(after, "id")}}).remove(from);
  return context.store.must_commit(change);
}

Verdict remove_route(Context& context, const Kv& route) {
  Change change;
  change.require(route.key, route.mod_revision).remove(route.key).remove(place_key(route.value));
  change.event(route_event("route_deletion", route.value));
  return context.store.must_commit(change);
}

}  // namespace flynn::controller
