#include "config_schema.h"

// The only file that includes valijson: it is slow to compile.
#include <boost/json.hpp>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "flynn/sdk/json.h"

namespace flynn::core {
namespace {

constexpr int kSchemaDepthMax = 16;

void fill_defaults(const json::object& schema, json::object& config, int depth) {
  const auto* properties = find_object(schema, "properties");
  if (properties == nullptr || depth > kSchemaDepthMax) return;
  for (const auto& [key, rule] : *properties) {
    if (!rule.is_object()) continue;
    const auto& property = rule.get_object();
    auto* value = config.if_contains(key);
    if (value == nullptr || value->is_null()) {
      if (const auto* fallback = property.if_contains("default")) {
        config[key] = *fallback;
        value = config.if_contains(key);
      }
    }
    if (value != nullptr && value->is_object()) fill_defaults(property, value->get_object(), depth + 1);
  }
}

/// "<root>[port][0]" as the library writes a place becomes "port.0".
std::string place(const std::vector<std::string>& context) {
  std::string path;
  for (const auto& step : context) {
    auto name = step;
    if (name == "<root>") continue;
    if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
    path += (path.empty() ? "" : ".") + name;
  }
  return path.empty() ? "configuration" : "key " + path;
}

std::string describe(valijson::ValidationResults& results) {
  std::string text;
  valijson::ValidationResults::Error error;
  for (int count = 0; count < 8 && results.popError(error); ++count) {
    // A consequence of an inner error that was already told.
    if (error.description.starts_with("Failed to validate against schema associated with property name")) continue;
    text += (text.empty() ? "" : "; ") + place(error.context) + ": " + error.description;
  }
  return text;
}

}  // namespace

Result<std::string> apply_config_schema(std::string_view schema_json, std::string_view config_json) {
  auto schema_document = parse_json_object(schema_json);
  if (!schema_document) return schema_document.error().context("configuration schema of the manifest");
  auto config = parse_json_object(config_json);
  if (!config) return config.error().context("configuration");
  fill_defaults(*schema_document, *config, 0);
  try {
    const json::value schema_value(*schema_document);
    const json::value config_value(*config);
    valijson::Schema schema;
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::BoostJsonAdapter(schema_value), schema);
    valijson::Validator validator;
    valijson::ValidationResults results;
    if (!validator.validate(schema, valijson::adapters::BoostJsonAdapter(config_value), &results)) {
      return Error{Code::invalid_argument, describe(results)};
    }
  } catch (const std::exception& error) {
    return Error{Code::invalid_argument, std::string("configuration schema of the manifest: ") + error.what()};
  }
  return json::serialize(*config);
}

}  // namespace flynn::core
