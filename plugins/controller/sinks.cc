/// Sinks: where the logs of all apps are sent. The logs plugin reads them from the store and sends (decision 0017).
#include <array>
#include <charconv>

#include "context.h"
#include "list_stream.h"
#include "member_types.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kSinksMax = 16;  // one thread and one connection each
constexpr std::size_t kUrlMax = 512;
constexpr std::array<std::string_view, 2> kSchemes = {"syslog://", "syslog+tls://"};

constexpr std::array<MemberRule, 6> kConfigMembers{{{"url", MemberType::text},
                                                    {"template", MemberType::text},
                                                    {"format", MemberType::text},
                                                    {"use_ids", MemberType::flag},
                                                    {"insecure", MemberType::flag},
                                                    {"structured_data", MemberType::flag}}};

/// host or host:port, [::1]:port; no user, path or query.
bool is_authority(std::string_view text) {
  if (text.empty() || text.find_first_of("/?#@ \t\r\n") != std::string_view::npos) return false;
  const bool literal = text.front() == '[';
  const std::size_t host_end = literal ? text.find(']') : text.find(':');
  if (literal && host_end == std::string_view::npos) return false;
  std::string_view host = text.substr(0, literal ? host_end + 1 : host_end);
  std::string_view rest = host.size() == text.size() ? std::string_view() : text.substr(host.size());
  if (host.empty() || rest.empty()) return !host.empty();
  if (rest.front() != ':') return false;
  int port = 0;
  auto [end, failed] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
  return failed == std::errc() && end == rest.data() + rest.size() && port > 0 && port < 65536;
}

Verdict check_sink(const json::object& sink) {
  if (text_of(sink, "kind") != "syslog")
    return validation("kind", "must be syslog: no other kind of sink is sent to by this platform");
  const json::object config = object_of(sink, "config");
  if (std::string bad = wrong_member(config, kConfigMembers); !bad.empty()) return validation("config", bad);
  const std::string url = text_of(config, "url");
  bool known = false;
  for (std::string_view scheme : kSchemes)
    known = known || (url.starts_with(scheme) && is_authority(std::string_view(url).substr(scheme.size())));
  if (!known || url.size() > kUrlMax)
    return validation("config.url", "must be syslog://HOST:PORT (TCP) or syslog+tls://HOST:PORT");
  const std::string format = text_of(config, "format");
  if (!format.empty() && format != "rfc6587" && format != "newline")
    return validation("config.format", "must be rfc6587 or newline");
  return std::nullopt;
}

Outcome<json::array> all_sinks(Context& context) {
  auto sinks = context.store.newest_first("sinks/");
  if (!sinks) return sinks.error();
  json::array out;
  for (const Kv& kv : *sinks) out.push_back(public_form(kv.value));
  return out;
}

Outcome<HttpResponse> create_sink(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  const std::string id = canonical_uuid(text_of(*asked, "id")).value_or(new_uuid());
  const std::string now = now_text();
  json::object sink{{"id", id},
                    {"kind", text_of(*asked, "kind")},
                    {"host_managed", flag_of(*asked, "host_managed")},
                    {"config", object_of(*asked, "config")},
                    {"created_at", now},
                    {"updated_at", now}};
  if (Verdict bad = check_sink(sink)) return *bad;
  auto count = context.store.count("sinks/");
  if (!count) return count.error();
  if (*count >= kSinksMax)
    return validation("", "there are " + std::to_string(kSinksMax) + " sinks already; remove one (flynn drains)");
  Change change;
  change.require("sinks/" + id, 0).put("sinks/" + id, sink);
  change.event({"", "sink", id, sink});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("sink " + id + " already exists");
  return json_answer(sink);
}

Outcome<HttpResponse> list_sinks(Context& context, const HttpRequest& request, const Params&) {
  if (wants_stream(request)) return list_and_watch(context, request, "sinks", [&] { return all_sinks(context); });
  auto sinks = all_sinks(context);
  if (!sinks) return sinks.error();
  return json_answer(*sinks);
}

Outcome<Kv> find_sink(Context& context, const std::string& reference) {
  auto id = canonical_uuid(reference);
  if (!id) return not_found("sink " + reference);
  auto sink = context.store.get("sinks/" + *id);
  if (!sink) return sink.error();
  if (!*sink) return not_found("sink " + *id);
  return std::move(**sink);
}

Outcome<HttpResponse> get_sink(Context& context, const HttpRequest&, const Params& params) {
  auto sink = find_sink(context, params[0]);
  if (!sink) return sink.error();
  return json_answer(public_form(sink->value));
}

Outcome<HttpResponse> delete_sink(Context& context, const HttpRequest&, const Params& params) {
  auto sink = find_sink(context, params[0]);
  if (!sink) return sink.error();
  Change change;
  change.require(sink->key, sink->mod_revision).remove(sink->key);
  change.event({"", "sink_deletion", text_of(sink->value, "id"), public_form(sink->value)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(sink->value));
}

}  // namespace

void add_sink_routes(RouterTable& table) {
  table.add("POST", "/sinks", create_sink);
  table.add("GET", "/sinks", list_sinks);
  table.add("GET", "/sinks/:s", get_sink);
  table.add("DELETE", "/sinks/:s", delete_sink);
}

}  // namespace flynn::controller
