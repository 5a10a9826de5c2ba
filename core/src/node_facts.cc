// What a node tells of its plugins by flynn.node/1, and the configuration that outlives it.
#include <algorithm>

#include "config_schema.h"
#include "config_secrets.h"
#include "node.h"
#include "node_interface.h"
#include "runtime_config.h"

namespace flynn::core {
namespace {

json::object object_of_text(const std::string& text) { return parse_json_object(text).value_or(json::object{}); }

json::array texts(const std::vector<InterfaceId>& interfaces) {
  json::array list;
  for (const auto& interface : interfaces) list.emplace_back(interface.text());
  return list;
}

}  // namespace

void Node::touched() { interface_->touched(); }

void Node::set_settled(SlotPlan& entry, bool settled) {
  {
    const std::lock_guard lock(mutex_);
    entry.settled = settled;
  }
  touched();
}

Result<SlotPlan*> Node::known(const std::string& slot) {
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  return entry;
}

json::array Node::kept_versions(SlotPlan& entry) {
  const auto& record = record_.slot(entry.config.slot);
  json::array list;
  std::vector<std::string> seen;
  const auto add = [&](const std::string& digest, const std::string& version, const char* role) {
    if (digest.empty() || std::find(seen.begin(), seen.end(), digest) != seen.end()) return;
    seen.push_back(digest);
    list.push_back(json::object{{"digest", digest}, {"version", version}, {"role", role}});
  };
  {
    const HazardGuard<Generation> guard(entry.slot->current_place());
    if (const auto* generation = guard.get())
      add(generation->file().digest, generation->facts().manifest.version, "current");
  }
  if (record.previous) add(record.previous->digest, record.previous->version, "previous");
  return list;
}

json::object Node::slot_facts(SlotPlan& entry) {
  const auto schema = object_of_text(entry.manifest.config_schema);
  std::vector<std::string> secrets;
  auto config = without_secrets(schema, object_of_text(entry.config_json), &secrets);
  json::object document{{"slot", entry.config.slot},
                        {"name", entry.manifest.name},
                        {"version", entry.manifest.version},
                        {"description", entry.manifest.description},
                        {"state", entry.status.state},
                        {"reason", entry.status.reason},
                        {"settled", entry.settled},
                        {"provides", texts(entry.manifest.provides)},
                        {"config_schema", schema},
                        {"config", std::move(config)},
                        {"secrets", json::array(secrets.begin(), secrets.end())},
                        {"config_digest", digest_of_text(entry.config_json)},
                        {"versions", kept_versions(entry)}};
  const HazardGuard<Generation> guard(entry.slot->current_place());
  if (const auto* generation = guard.get()) {
    document["generation"] = generation->facts().number;
    document["digest"] = generation->file().digest;
    document["started_at"] = generation->started_at();
  }
  return document;
}

Result<json::object> Node::plugin_facts(const std::string& slot) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  const std::lock_guard lock(mutex_);
  return slot_facts(**entry);
}

json::array Node::plugin_facts() {
  const std::lock_guard lock(mutex_);
  json::array all;
  for (auto& entry : plans_) all.push_back(slot_facts(*entry));
  return all;
}

Result<std::string> Node::effective_config(const std::string& slot) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  const std::lock_guard lock(mutex_);
  return (*entry)->config_json;
}

Result<std::string> Node::completed_config(const std::string& slot, const json::object& wanted) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  const std::lock_guard lock(mutex_);
  return json::serialize(with_kept_secrets(object_of_text((*entry)->manifest.config_schema), wanted,
                                           object_of_text((*entry)->config_json)));
}

Result<void> Node::judge_config(const std::string& slot, const std::string& config_json) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  std::string schema;
  {
    const std::lock_guard lock(mutex_);
    schema = (*entry)->manifest.config_schema;
  }
  auto judged = apply_config_schema(schema, config_json);
  if (!judged) return judged.error();
  return {};
}

Result<std::filesystem::path> Node::kept_version(const std::string& slot, const std::string& digest) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  const std::lock_guard lock(mutex_);
  const auto& record = record_.slot(slot);
  {
    const HazardGuard<Generation> guard((*entry)->slot->current_place());
    if (guard.get() != nullptr && guard.get()->file().digest == digest) return guard.get()->file().path;
  }
  for (const auto* version : {&record.current, &record.previous})
    if (*version && (*version)->digest == digest) return std::filesystem::path((*version)->path);
  if (digest_of_file((*entry)->config.path).value_or("") == digest) return (*entry)->config.path;
  return Error{Code::not_found, "the version of " + slot + " with digest " + digest.substr(0, 12) +
                                    " is no longer kept (the current and the previous one are): swap its file in by "
                                    "flynn plugin swap " +
                                    slot + " FILE"};
}

}  // namespace flynn::core
