#include "node_interface.h"

#include <algorithm>

#include "config_schema.h"
#include "config_secrets.h"
#include "node.h"
#include "slot_order.h"

namespace flynn::core {
namespace {

constexpr std::int64_t kHistoryLimit = 200, kHistoryLimitMax = 1000;

std::string text_of(flynn_bytes bytes) { return bytes.size == 0 ? std::string() : std::string(bytes.data, bytes.size); }

flynn_bytes bytes_of(const std::string& text) { return {text.data(), text.size()}; }

flynn_status refuse(flynn_reply* reply, const Error& error) {
  const auto status = static_cast<flynn_status>(error.code);
  reply->set_error(reply, status, bytes_of(error.message), flynn_bytes{nullptr, 0});
  return status;
}

}  // namespace

NodeInterface::NodeInterface(Node& node, EventLog& log)
    : node_(node),
      log_(log),
      watch_([this] { return node_.plugin_facts(); }),
      changes_([this](const AskedChange& change) {
        watch_.tell({{"change", change.document()}});
        if (change.state == "failed")
          log_.write(FLYNN_LOG_WARN, change.slot, "asked_change_failed",
                     {{"change", change.id}, {"who", change.who}, {"error", change.error.message}});
      }) {}

void NodeInterface::start() {
  watch_.start();
  changes_.start();
}

void NodeInterface::stop() {
  changes_.stop();
  watch_.stop();
}

flynn_status NodeInterface::handle(const flynn_call& call, flynn_reply* reply) noexcept {
  try {
    auto body = parse_json_object(call.body.size == 0 ? "{}" : text_of(call.body));
    if (!body) return refuse(reply, body.error().context("body"));
    auto answered = answer(text_of(call.method), *body, text_of(call.caller));
    if (!answered) return refuse(reply, answered.error());
    const std::string text = json::serialize(answered->body);
    reply->set_body(reply, bytes_of(text));
    for (auto& fd : answered->fds) reply->add_fd(reply, fd.release());
    return FLYNN_OK;
  } catch (const std::exception& error) {
    return refuse(reply, Error{Code::internal, std::string("flynn.node/1: ") + error.what()});
  }
}

Result<Reply> NodeInterface::answer(std::string_view method, const json::object& body, const std::string& who) {
  if (method == "Plugins") return plugins(body);
  if (method == "Judge") return judge(body);
  if (method == "Configure") return configure(body, who);
  if (method == "Swap") return swap(body, who);
  if (method == "RollBack") return roll_back(body, who);
  if (method == "Change") return change(body);
  if (method == "History") return history(body);
  if (method == "Log") return log(body);
  if (method == "Watch") {
    auto stream = watch_.open();
    if (!stream) return stream.error();
    return Reply{json::object{}, std::move(*stream)};
  }
  return Error{Code::unimplemented, "flynn.node/1 has no method \"" + std::string(method) + "\""};
}

Result<Reply> NodeInterface::plugins(const json::object& body) {
  if (auto slot = find_string(body, "slot")) {
    auto facts = node_.plugin_facts(*slot);
    if (!facts) return facts.error();
    return Reply{json::object{{"node", node_.config().node}, {"plugins", json::array{std::move(*facts)}}}};
  }
  return Reply{json::object{{"node", node_.config().node}, {"plugins", node_.plugin_facts()}}};
}

Result<std::filesystem::path> NodeInterface::named_file(const std::string& slot, const json::object& body) {
  if (auto path = find_string(body, "path")) {
    if (std::filesystem::path(*path).is_absolute()) return std::filesystem::path(*path);
    return Error{Code::invalid_argument, "member \"path\" must be an absolute path"};
  }
  if (auto digest = find_string(body, "digest")) return node_.kept_version(slot, *digest);
  return Error{Code::invalid_argument, "name the version by \"path\" or by \"digest\""};
}

Result<Reply> NodeInterface::judge(const json::object& body) {
  auto slot = require_string(body, "slot");
  if (!slot) return slot.error();
  auto file = named_file(*slot, body);
  if (!file) return file.error();
  auto manifest = verify_plugin(*file);
  if (!manifest) return manifest.error();
  auto digest = digest_of_file(*file);
  if (!digest) return digest.error();
  const auto schema = parse_json_object(manifest->config_schema).value_or(json::object{});
  json::object document{
      {"name", manifest->name}, {"version", manifest->version}, {"digest", *digest}, {"config_schema", schema}};
  if (const auto* config = find_object(body, "config")) {
    auto in_force = node_.effective_config(*slot);
    if (!in_force) return in_force.error();
    const auto whole = with_kept_secrets(schema, *config, parse_json_object(*in_force).value_or(json::object{}));
    auto judged = apply_config_schema(manifest->config_schema, json::serialize(whole));
    if (!judged) return judged.error().context("the configuration of " + *slot);
    document["config"] = without_secrets(schema, parse_json_object(*judged).value_or(json::object{}));
  }
  return Reply{std::move(document)};
}

Result<Reply> NodeInterface::configure(const json::object& body, const std::string& who) {
  auto slot = require_string(body, "slot");
  if (!slot) return slot.error();
  const auto* config = find_object(body, "config");
  if (config == nullptr) return Error{Code::invalid_argument, "member \"config\" must be an object"};
  auto facts = node_.plugin_facts(*slot);
  if (!facts) return facts.error();
  if (const auto expected = find_string(body, "if_digest"); expected && *expected != string_or(*facts, "config_digest"))
    return Error{Code::conflict, "the configuration of " + *slot + " has changed: read it again, then decide"};
  auto whole = node_.completed_config(*slot, *config);
  if (!whole) return whole.error();
  if (auto fits = node_.judge_config(*slot, *whole); !fits)
    return fits.error().context("the configuration of " + *slot);
  return ask({*slot, {}, *config}, "configure", who, {});
}

Result<Reply> NodeInterface::swap(const json::object& body, const std::string& who) {
  auto slot = require_string(body, "slot");
  if (!slot) return slot.error();
  auto file = named_file(*slot, body);
  if (!file) return file.error();
  SlotOrder order{*slot, std::move(*file), {}};
  if (const auto* config = find_object(body, "config")) order.config = *config;
  if (auto known = node_.plugin_facts(*slot); !known) return known.error();
  json::object detail{{"file", order.file->string()}};
  return ask(std::move(order), "swap", who, std::move(detail));
}

Result<Reply> NodeInterface::roll_back(const json::object& body, const std::string& who) {
  auto slot = require_string(body, "slot");
  if (!slot) return slot.error();
  if (auto known = node_.plugin_facts(*slot); !known) return known.error();
  auto asked = changes_.ask(*slot, "rollback", who, [this, slot = *slot, who](const auto& in_force) {
    return core::roll_back(node_, slot, who, in_force);
  });
  if (!asked) return asked.error();
  note(*asked, {});
  return Reply{json::object{{"change", asked->id}}};
}

Result<Reply> NodeInterface::ask(SlotOrder order, const char* action, const std::string& who, json::object detail) {
  const std::string slot = order.slot;
  auto asked = changes_.ask(slot, action, who, [this, order = std::move(order), who](const auto& in_force) {
    return carry_out(node_, order, who, in_force);
  });
  if (!asked) return asked.error();
  note(*asked, std::move(detail));
  return Reply{json::object{{"change", asked->id}}};
}

// What the change itself then does is in the history as for everybody; this says who wanted it.
void NodeInterface::note(const AskedChange& change, json::object detail) {
  detail["slot"] = change.slot;
  detail["action"] = "asked to " + change.action;
  detail["who"] = change.who;
  detail["change"] = change.id;
  detail["outcome"] = "accepted";
  node_.history().add(std::move(detail));
}

Result<Reply> NodeInterface::change(const json::object& body) {
  auto id = require_string(body, "change");
  if (!id) return id.error();
  auto found = changes_.find(*id);
  if (!found) return found.error();
  return Reply{found->document()};
}

Result<Reply> NodeInterface::log(const json::object& body) {
  auto slot = require_string(body, "slot");
  if (!slot) return slot.error();
  if (auto known = node_.plugin_facts(*slot); !known) return known.error();
  const auto limit = std::clamp<std::int64_t>(int_or(body, "lines", kRecentLinesMax), 0, kRecentLinesMax);
  return Reply{json::object{{"lines", log_.recent().last(*slot, static_cast<std::size_t>(limit))}}};
}

Result<Reply> NodeInterface::history(const json::object& body) {
  const auto limit = std::clamp<std::int64_t>(int_or(body, "limit", kHistoryLimit), 1, kHistoryLimitMax);
  return Reply{
      json::object{{"entries", node_.history().last(string_or(body, "slot"), static_cast<std::size_t>(limit))}}};
}

}  // namespace flynn::core
