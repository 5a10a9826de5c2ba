#include "admin_methods.h"

namespace flynn::core {
namespace {

constexpr std::int64_t kHistoryEntries = 200, kCallTimeoutMs = 30'000;

// Of a file that is not loaded: what a swap to it would be judged by.
json::object judged_file(const std::string& path, const TrustConfig& trust) {
  auto facts = probe_elf(path);
  json::array problems;
  json::object document{{"path", path}, {"methods", json::array{}}};
  if (!facts) {
    problems.emplace_back(facts.error().message);
  } else {
    for (const auto& problem : judge(*facts)) problems.emplace_back(problem);
    auto manifest = parse_json(facts->manifest_text);
    document["manifest"] = manifest ? *manifest : json::value();
    const auto digest = digest_of_file(path).value_or("");
    document["digest"] = digest;
    const auto name = manifest && manifest->is_object() ? string_or(manifest->get_object(), "name") : "";
    document["signature"] = signature_status(trust, path, digest, name).document();
  }
  document["problems"] = std::move(problems);
  return document;
}

}  // namespace

Result<json::object> AdminMethods::inspect(const json::object& params) {
  if (auto path = find_string(params, "path")) return judged_file(*path, node_.config().trust);
  auto slot = require_string(params, "slot");
  if (!slot) return slot.error();
  return node_.inspect(*slot);
}

Result<json::object> AdminMethods::start(const json::object& params) {
  auto slot = require_string(params, "slot");
  if (!slot) return slot.error();
  auto state = node_.start_plugin(*slot);
  if (!state) return state.error();
  return json::object{{"slot", *slot}, {"state", *state}};
}

Result<json::object> AdminMethods::audit(const json::object& params) {
  auto verdict = node_.history().verify(string_or(params, "head"));
  if (!verdict) return verdict.error();
  auto document = verdict->document();
  document["file"] = audit_file_of(node_.config().data_dir).string();
  return document;
}

Result<json::object> AdminMethods::call(const json::object& params) {
  auto interface = require_string(params, "interface");
  auto method = require_string(params, "method");
  if (!interface) return interface.error();
  if (!method) return method.error();
  const auto* body = find_object(params, "body");
  const auto timeout = std::chrono::milliseconds(int_or(params, "timeout_ms", kCallTimeoutMs));
  auto reply = node_.door().call_as_operator(*interface, *method, body == nullptr ? json::object{} : *body,
                                             Deadline::after(timeout));
  if (!reply) return reply.error();
  return json::object{{"body", std::move(reply->body)}};
}

Result<json::object> AdminMethods::run(const std::string& method, const json::object& params,
                                       const AdminClient& client) {
  if (method == "plugin.list") return node_.list();
  if (method == "plugin.inspect") return inspect(params);
  if (method == "plugin.swap") return swap(params, false, client);
  if (method == "plugin.plan") return plan(params);
  if (method == "plugin.watch") return watch(params, client);
  if (method == "plugin.rollback") return swap(params, true, client);
  if (method == "plugin.configure") return configure(params, client);
  if (method == "plugin.history")
    return json::object{{"entries", node_.history().last(string_or(params, "slot"), kHistoryEntries)}};
  if (method == "plugin.start") return start(params);
  if (method == "plugin.audit") return audit(params);
  if (method == "call") return call(params);
  if (method == "status") return node_.status();
  if (method == "shutdown") {
    shut_down_();
    return json::object{};
  }
  return Error{Code::unimplemented, "the admin socket has no method \"" + method + "\""};
}

}  // namespace flynn::core
