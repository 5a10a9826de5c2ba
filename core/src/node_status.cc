// What a node tells of itself.
#include <unistd.h>

#include "node.h"
#include "version.h"

namespace flynn::core {
namespace {

json::array texts(const std::vector<InterfaceId>& interfaces) {
  json::array list;
  for (const auto& interface : interfaces) list.emplace_back(interface.text());
  return list;
}

}  // namespace

json::object Node::describe(const SlotPlan& entry) const {
  std::uint64_t calls = 0, errors = 0;
  for (const auto& count : entry.slot->counters().snapshot()) {
    calls += count.calls;
    errors += count.errors;
  }
  json::object document{
      {"slot", entry.config.slot},
      {"name", entry.manifest.name},
      {"version", entry.manifest.version},
      {"abi", std::to_string(entry.manifest.abi_major) + "." + std::to_string(entry.manifest.abi_minor)},
      {"provides", texts(entry.manifest.provides)},
      {"requires", texts(entry.manifest.requires_)},
      {"state", entry.status.state},
      {"reason", entry.status.reason},
      {"calls", calls},
      {"errors", errors},
      {"zombies", entry.zombies.size()},
      {"cage", entry.config.cage.own_process ? "process" : "shared"}};
  if (!entry.note.empty()) document["note"] = entry.note;
  if (!entry.signature.empty()) document["signature"] = entry.signature;
  if (const auto running = changes_.running(entry.config.slot)) document["change"] = running->document();
  const HazardGuard<Generation> guard(entry.slot->current_place());
  if (const auto* generation = guard.get()) {
    // During a swap's probation another version serves than the one in force: name, version and digest are of one.
    const auto& manifest = generation->facts().manifest;
    document["name"] = manifest.name;
    document["version"] = manifest.version;
    document["provides"] = texts(manifest.provides);
    document["requires"] = texts(manifest.requires_);
    document["generation"] = generation->facts().number;
    document["digest"] = generation->file().digest;
    document["path"] = generation->file().path.string();
    document["started_at"] = generation->started_at();
    if (generation->cage() != nullptr) document["process"] = generation->cage()->pid();
  }
  return document;
}

json::object Node::list() {
  const std::lock_guard lock(mutex_);
  json::array plugins;
  for (const auto& entry : plans_) plugins.push_back(describe(*entry));
  return {{"plugins", std::move(plugins)}};
}

Result<json::object> Node::inspect(const std::string& slot) {
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  const std::lock_guard lock(mutex_);
  auto document = describe(*entry);
  auto manifest = parse_json(entry->manifest.text.empty() ? "{}" : entry->manifest.text);
  document["manifest"] = manifest ? *manifest : json::value();
  json::array problems, methods;
  if (!entry->status.reason.empty()) problems.emplace_back(entry->status.reason);
  {
    const HazardGuard<Generation> guard(entry->slot->current_place());
    if (guard.get() != nullptr && guard.get()->cage() != nullptr) {
      json::array walls;
      for (const auto& wall : guard.get()->cage()->raised()) {
        walls.push_back(json::object{{"name", wall.name}, {"stands", wall.stands}, {"how", wall.how}});
        if (!wall.stands && wall.wanted) problems.emplace_back("its cage lacks a wall: " + wall.how);
      }
      document["walls"] = std::move(walls);
    }
  }
  for (const auto& zombie : entry->zombies) problems.emplace_back("still mapped: " + zombie);
  for (const auto& count : entry->slot->counters().snapshot())
    methods.push_back(json::object{{"interface", count.interface},
                                   {"method", count.method},
                                   {"calls", count.calls},
                                   {"errors", count.errors},
                                   {"total_us", count.total_us},
                                   {"max_us", count.max_us}});
  document["problems"] = std::move(problems);
  document["methods"] = std::move(methods);
  return document;
}

json::object Node::status() {
  const std::lock_guard lock(mutex_);
  std::size_t up = 0;
  for (const auto& entry : plans_) up += entry->status.state == "up" ? 1 : 0;
  return {{"version", kVersion},
          {"pid", ::getpid()},
          {"node", config_.node},
          {"started_at", started_at_},
          {"booted", booted_.load()},
          {"plugins_up", up},
          {"plugins_total", plans_.size()},
          {"healthy", up == plans_.size() && !stopping_}};
}

}  // namespace flynn::core
