#include "config_secrets.h"

namespace flynn::core {
namespace {

constexpr int kDepthMax = 16;

bool is_secret(const json::object& properties, std::string_view key) {
  const auto* rule = find_object(properties, key);
  return rule != nullptr && bool_or(*rule, "writeOnly");
}

const json::object& properties_of(const json::object& schema) {
  static const json::object kNone;
  const auto* properties = find_object(schema, "properties");
  return properties == nullptr ? kNone : *properties;
}

const json::object& rule_of(const json::object& properties, std::string_view key) {
  static const json::object kNone;
  const auto* rule = find_object(properties, key);
  return rule == nullptr ? kNone : *rule;
}

json::object strip(const json::object& schema, const json::object& config, const std::string& place,
                   std::vector<std::string>* left_out, int depth) {
  const auto& properties = properties_of(schema);
  json::object open;
  for (const auto& [key, value] : config) {
    const std::string here = place + std::string(key);
    if (is_secret(properties, key)) {
      const bool set = !value.is_null() && !(value.is_array() && value.get_array().empty()) &&
                       !(value.is_string() && value.get_string().empty());
      if (set && left_out != nullptr) left_out->push_back(here);
    } else if (value.is_object() && depth < kDepthMax) {
      open[key] = strip(rule_of(properties, key), value.get_object(), here + ".", left_out, depth + 1);
    } else {
      open[key] = value;
    }
  }
  return open;
}

json::object keep(const json::object& schema, json::object wanted, const json::object& in_force, int depth) {
  const auto& properties = properties_of(schema);
  for (const auto& [key, value] : in_force) {
    auto* mine = wanted.if_contains(key);
    if (is_secret(properties, key)) {
      if (mine == nullptr) wanted[key] = value;
    } else if (mine != nullptr && mine->is_object() && value.is_object() && depth < kDepthMax) {
      wanted[key] = keep(rule_of(properties, key), mine->get_object(), value.get_object(), depth + 1);
    }
  }
  for (const auto& [key, rule] : properties)
    if (const auto* mine = wanted.if_contains(key); mine != nullptr && mine->is_null() && is_secret(properties, key))
      wanted.erase(key);
  return wanted;
}

}  // namespace

json::object without_secrets(const json::object& schema, const json::object& config,
                             std::vector<std::string>* left_out) {
  return strip(schema, config, "", left_out, 0);
}

json::object with_kept_secrets(const json::object& schema, json::object wanted, const json::object& in_force) {
  return keep(schema, std::move(wanted), in_force, 0);
}

}  // namespace flynn::core
