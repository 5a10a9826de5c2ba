#include "schema_changes.h"

#include <algorithm>
#include <map>

namespace flynn::core {
namespace {

constexpr int kSchemaDepthMax = 16;

// Objects are told by their members; "required" of the parent belongs to the property.
void collect(const json::object& schema, const std::string& prefix, int depth,
             std::map<std::string, std::string>& all) {
  const auto* properties = find_object(schema, "properties");
  if (properties == nullptr || depth > kSchemaDepthMax) return;
  const auto required = strings_or_empty(schema, "required");
  for (const auto& [key, rule] : *properties) {
    const std::string name = prefix + std::string(key);
    if (!rule.is_object()) continue;
    json::object own = rule.get_object();
    own.erase("description");
    own.erase("title");
    own.erase("properties");
    own.erase("required");
    if (std::find(required.begin(), required.end(), std::string(key)) != required.end()) own["required"] = true;
    std::map<std::string, json::value> sorted;
    for (const auto& [member, value] : own) sorted[std::string(member)] = value;
    json::object text;
    for (const auto& [member, value] : sorted) text[member] = value;
    all[name] = json::serialize(text);
    collect(rule.get_object(), name + ".", depth + 1, all);
  }
}

std::map<std::string, std::string> rules_of(std::string_view schema) {
  std::map<std::string, std::string> all;
  if (const auto document = parse_json_object(schema)) collect(*document, "", 0, all);
  return all;
}

json::array texts(const std::vector<std::string>& names) {
  json::array list;
  for (const auto& name : names) list.emplace_back(name);
  return list;
}

}  // namespace

SchemaChanges compare_schemas(std::string_view older, std::string_view newer) {
  const auto before = rules_of(older), after = rules_of(newer);
  SchemaChanges changes;
  for (const auto& [name, rule] : after) {
    const auto found = before.find(name);
    if (found == before.end())
      changes.added.push_back(name);
    else if (found->second != rule)
      changes.changed.push_back({name, found->second, rule});
  }
  for (const auto& [name, rule] : before)
    if (!after.contains(name)) changes.removed.push_back(name);
  return changes;
}

json::object SchemaChanges::document() const {
  json::array list;
  for (const auto& change : changed)
    list.push_back(json::object{{"property", change.property}, {"from", change.from}, {"to", change.to}});
  return {{"added", texts(added)}, {"removed", texts(removed)}, {"changed", std::move(list)}};
}

}  // namespace flynn::core
