#include "plugin_env.h"

#include <algorithm>
#include <vector>

namespace flynn::controller {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// "integer" of {"type": "integer"}, all of {"type": ["string", "null"]}; empty: any type.
std::vector<std::string> types_of(const json::object& rule) {
  if (std::string one = text_of(rule, "type"); !one.empty()) return {one};
  return strings_or_empty(rule, "type");
}

bool allows(const std::vector<std::string>& types, std::string_view type) {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

std::string_view type_of(const json::value& value) {
  if (value.is_bool()) return "boolean";
  if (value.is_int64() || value.is_uint64()) return "integer";
  if (value.is_double()) return "number";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return value.is_null() ? "null" : "string";
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

/// The key of the schema that a variable stands for; empty when there is none.
std::string key_of(const json::object& properties, std::string_view variable) {
  for (const auto& property : properties) {
    if (env_name(property.key()) == variable) return std::string(property.key());
  }
  return {};
}

Outcome<json::value> value_of(const std::string& variable, const json::object& rule, std::string_view text) {
  std::vector<std::string> types = types_of(rule);
  if (types == std::vector<std::string>{"string"}) return json::value(text);
  auto parsed = parse_json(text);
  if (parsed) {
    std::string_view type = type_of(*parsed);
    if (allows(types, type) || (type == "integer" && allows(types, "number"))) return std::move(*parsed);
  }
  if (allows(types, "string")) return json::value(text);
  return validation(variable, "must be of type " + joined(types, " or ") + (parsed ? "" : ", written as JSON"));
}

ApiError unknown_variable(const std::string& variable, const json::object& properties) {
  std::vector<std::string> names;
  for (const auto& property : properties) names.push_back(env_name(property.key()));
  return validation(variable, "is no setting of this plugin; its settings are " +
                                  (names.empty() ? std::string("none") : joined(names, ", ")));
}

bool is_secret(const json::object& properties, std::string_view variable) {
  std::string key = key_of(properties, variable);
  return !key.empty() && flag_of(object_of(properties, key), "writeOnly");
}

}  // namespace

std::string env_name(std::string_view key) {
  std::string out(key);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

json::object env_of_config(const json::object& config) {
  json::object env;
  for (const auto& entry : config) {
    if (entry.value().is_null()) continue;
    env[env_name(entry.key())] =
        entry.value().is_string() ? entry.value() : json::value(json::serialize(entry.value()));
  }
  return env;
}

Outcome<json::object> config_of_env(const json::object& schema, const json::object& env) {
  json::object properties = object_of(schema, "properties");
  const json::value* others = member(schema, "additionalProperties");
  bool closed = others != nullptr && others->is_bool() && !others->get_bool();
  json::object config;
  for (const auto& entry : env) {
    std::string variable(entry.key());
    std::string key = key_of(properties, variable);
    if (key.empty() && closed) return unknown_variable(variable, properties);
    if (key.empty()) key = lower(variable);
    json::object rule = object_of(properties, key);
    auto value = value_of(variable, rule, text_of(env, variable));
    if (!value) return value.error();
    const json::value* usual = member(rule, "default");
    if (usual == nullptr || *usual != *value) config[key] = std::move(*value);
  }
  return config;
}

json::object secrets_of_env(const json::object& schema, const json::object& env) {
  json::object properties = object_of(schema, "properties");
  json::object out;
  for (const auto& entry : env) {
    if (is_secret(properties, entry.key())) out[entry.key()] = entry.value();
  }
  return out;
}

json::object env_without_secrets(const json::object& schema, const json::object& env) {
  json::object properties = object_of(schema, "properties");
  json::object out;
  for (const auto& entry : env) {
    if (!is_secret(properties, entry.key())) out[entry.key()] = entry.value();
  }
  return out;
}

}  // namespace flynn::controller
