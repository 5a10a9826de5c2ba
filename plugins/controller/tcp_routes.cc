#include "tcp_routes.h"

#include <algorithm>
#include <optional>

#include "flynn/sdk/worker.h"
#include "route_rules.h"
#include "route_store.h"

namespace flynn::controller {
namespace {

constexpr std::chrono::milliseconds kRouterWait{2'000};
constexpr int kRouterStepMs = 5;
/// Ports of the range that other programs have, before the search is given up.
constexpr int kTriesMax = 16;

PortRange range_of(const Context& context) { return {context.settings.tcp_port_first, context.settings.tcp_port_last}; }

struct RouterPorts {
  bool answered = false;  // else nobody knows now
  bool serves_tcp = false;
  json::array routes;
};

RouterPorts ask_router(Context& context) {
  RouterPorts out;
  auto reply = context.door.call("flynn.router/1", "Routes", {{"type", "tcp"}}, kRouterWait);
  if (!reply) return out;
  out.answered = true;
  const json::value* routes = member(reply->body, "tcp_routes");
  out.serves_tcp = routes != nullptr && routes->is_array();
  if (out.serves_tcp) out.routes = routes->get_array();
  return out;
}

ApiError no_tcp_here() {
  return validation("type",
                    "tcp is served by no router of this node: the plugin in the slot router has no ports of TCP "
                    "routes; use an http route, or swap a router in that has them");
}

/// Nothing while the router says nothing of this route at this port; else why it can't be opened, empty: it is open.
std::optional<std::string> word_on(const RouterPorts& router, const json::object& route) {
  for (const json::value& value : router.routes) {
    const json::object* one = value.if_object();
    if (one == nullptr || text_of(*one, "id") != text_of(route, "id")) continue;
    if (number_of(*one, "port") != number_of(route, "port")) continue;
    if (flag_of(*one, "open")) return std::string();
    if (std::string why = text_of(*one, "error"); !why.empty()) return why;
  }
  return std::nullopt;
}

/// Why the router can't serve the route; empty when it does, or when it does not say in time.
std::string refusal_of_router(Context& context, const json::object& route) {
  const auto deadline = Deadline::after(kRouterWait);
  const StopSignal never;
  while (!deadline.passed() && !context.stopping) {
    const RouterPorts router = ask_router(context);
    if (!router.answered) return {};
    if (const auto word = word_on(router, route)) return *word;
    never.wait(kRouterStepMs);
  }
  return {};
}

ApiError not_opened(const json::object& route, const std::string& why) {
  return conflict("Port " + std::to_string(number_of(route, "port")) + " can't be opened: " + why, place_of(route));
}

Verdict take_back(Context& context, const json::object& route) {
  auto stored = context.store.get(route_key("tcp", text_of(route, "id")));
  if (!stored) return stored.error();
  return *stored ? remove_route(context, **stored) : Verdict();
}

}  // namespace

Outcome<json::object> add_tcp_route(Context& context, const std::string& app_id, const json::object& asked) {
  if (const RouterPorts router = ask_router(context); router.answered && !router.serves_tcp) return no_tcp_here();
  const bool any = number_of(asked, "port") == 0;
  std::vector<json::object> unusable;
  for (int tries = 1;; ++tries) {
    auto others = all_routes(context, "tcp");
    if (!others) return others.error();
    others->insert(others->end(), unusable.begin(), unusable.end());
    json::object route = new_route("tcp", app_id, asked);
    if (Verdict bad = choose_tcp_port(route, *others, range_of(context))) return *bad;
    auto stored = store_route(context, route);
    if (!stored) {
      // Somebody was a moment faster; with any port there is another one.
      if (any && stored.error().status == 409 && tries < kTriesMax) continue;
      return stored.error();
    }
    const std::string why = refusal_of_router(context, route);
    if (why.empty()) return stored;
    if (Verdict bad = take_back(context, route)) return *bad;
    if (!any || tries == kTriesMax) return not_opened(route, why);
    unusable.push_back(std::move(route));
  }
}

Verdict change_tcp_route(Context& context, const Kv& before, const json::object& asked, json::object& changed) {
  if (const std::int64_t port = number_of(asked, "port"); port != 0) changed["port"] = port;
  const RouterPorts router = ask_router(context);
  if (router.answered && !router.serves_tcp) return no_tcp_here();
  const bool same = number_of(changed, "port") == number_of(before.value, "port");
  const auto word = word_on(router, before.value);
  // What the router serves is not called into question by a range in the configuration.
  if (!same || word != std::string()) {
    auto others = all_routes_but(context, changed);
    if (!others) return others.error();
    if (Verdict bad = choose_tcp_port(changed, *others, range_of(context))) return bad;
  }
  if (same && word && !word->empty()) return not_opened(changed, *word);
  if (Verdict bad = replace_route(context, before, changed)) return bad;
  if (same) return std::nullopt;
  const std::string why = refusal_of_router(context, changed);
  if (why.empty()) return std::nullopt;
  auto stored = context.store.get(before.key);
  if (!stored) return stored.error();
  if (*stored) {
    if (Verdict bad = replace_route(context, **stored, before.value)) return bad;
  }
  return not_opened(changed, why);
}

}  // namespace flynn::controller
