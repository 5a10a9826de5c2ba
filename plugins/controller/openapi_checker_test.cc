#include "openapi_checker_test.h"

// The only file here that includes valijson: it is slow to compile.
#include <boost/json.hpp>
#include <stdexcept>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "openapi_document.h"

namespace flynn::controller {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (std::size_t begin = 0, end = 0; end != std::string_view::npos; begin = end + 1) {
    end = text.find(separator, begin);
    out.emplace_back(text.substr(begin, end - begin));
  }
  return out;
}

/// How many segments are the pattern's own words; -1 when it does not fit.
int fit(const std::vector<std::string>& pattern, const std::vector<std::string>& segments) {
  if (pattern.size() != segments.size()) return -1;
  int words = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].starts_with('{')) continue;
    if (pattern[i] != segments[i]) return -1;
    ++words;
  }
  return words;
}

/// Objects with named members get no others.
json::value closed(json::value schema) {
  if (schema.is_array()) {
    for (json::value& item : schema.get_array()) item = closed(std::move(item));
  } else if (schema.is_object()) {
    json::object& object = schema.get_object();
    for (auto& entry : object) entry.value() = closed(std::move(entry.value()));
    const json::value* properties = object.if_contains("properties");
    const bool named = properties != nullptr && properties->is_object() && object.contains("type");
    if (named && !object.contains("additionalProperties")) object["additionalProperties"] = false;
  }
  return schema;
}

}  // namespace

/// A schema, and the document that it was made of, which valijson borrows from.
struct OpenApiChecker::Compiled {
  explicit Compiled(json::value made_of) : source(std::move(made_of)) {
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::BoostJsonAdapter(source), schema);
  }
  std::string mismatch(const json::value& value) const {
    valijson::Validator validator;
    valijson::ValidationResults results;
    if (validator.validate(schema, valijson::adapters::BoostJsonAdapter(value), &results)) return {};
    std::string out;
    valijson::ValidationResults::Error error;
    for (int count = 0; count < 8 && results.popError(error); ++count) {
      for (const std::string& step : error.context) out += step;
      out += ": " + error.description + "\n";
    }
    return out;
  }
  const json::value source;
  valijson::Schema schema;
};

OpenApiChecker::OpenApiChecker()
    : document_(json::parse(kOpenApi).as_object()),
      open_components_(document_.at("components")),
      closed_components_(closed(open_components_)) {}

OpenApiChecker::~OpenApiChecker() = default;

const json::value* OpenApiChecker::resolve(std::string_view reference) const {
  if (!reference.starts_with("#/")) return nullptr;
  const json::value* found = nullptr;
  const json::object* in = &document_;
  for (const std::string& step : split(reference.substr(2), '/')) {
    found = in == nullptr ? nullptr : in->if_contains(step);
    if (found == nullptr) return nullptr;
    in = found->if_object();
  }
  return found;
}

const json::object& OpenApiChecker::resolved(const json::value& value) const {
  const json::value* reference = value.as_object().if_contains("$ref");
  if (reference == nullptr) return value.as_object();
  const json::value* found = resolve(reference->as_string());
  if (found == nullptr) throw std::runtime_error("leads nowhere: " + json::serialize(*reference));
  return found->as_object();
}

const json::object* OpenApiChecker::find(const Exchange& exchange, std::string& path) const {
  std::string method = exchange.method;
  for (char& c : method) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const auto segments = split(exchange.target.substr(0, exchange.target.find('?')), '/');
  const json::object* found = nullptr;
  int best = -1;
  for (const auto& entry : document_.at("paths").as_object()) {
    const json::value* operation = entry.value().as_object().if_contains(method);
    const int words = fit(split(entry.key(), '/'), segments);
    if (operation == nullptr || words <= best) continue;
    best = words;
    found = &operation->as_object();
    path = entry.key();
  }
  return found;
}

std::string OpenApiChecker::problem(const Exchange& exchange) {
  std::string path;
  const json::object* operation = find(exchange, path);
  if (operation == nullptr) {
    const bool refused = exchange.status == 404 || exchange.status == 401;
    return refused && exchange.body.empty() ? "" : "the document has no such operation";
  }
  const std::string name = exchange.method + " " + path;
  const json::value* response = operation->at("responses").as_object().if_contains(std::to_string(exchange.status));
  if (response == nullptr) return name + ": the document has no answer " + std::to_string(exchange.status);
  if (exchange.status == 200 || exchange.status == 101) {
    succeeded_.insert(name);
    const json::value* asked = operation->if_contains("requestBody");
    if (asked != nullptr && !exchange.request_body.empty()) {
      const auto& schema = asked->as_object().at("content").as_object().at("application/json").as_object().at("schema");
      const std::string bad = problem_of_json(schema, exchange.request_body, Members::any);
      if (!bad.empty()) return name + ": the request: " + bad;
    }
  }
  const std::string bad = problem_of_answer(resolved(*response), exchange);
  return bad.empty() ? bad : name + ": " + bad;
}

std::string OpenApiChecker::problem_of_answer(const json::object& response, const Exchange& exchange) {
  if (exchange.status == 101) return {};
  const json::value* content = response.if_contains("content");
  if (content == nullptr) return exchange.body.empty() ? "" : "the body should be empty";
  const std::string type = exchange.content_type.substr(0, exchange.content_type.find(';'));
  const json::value* media = content->as_object().if_contains(type);
  if (media == nullptr) return "the document has no content of type \"" + type + "\"";
  const json::object& described = media->as_object();
  if (type.ends_with("json")) return problem_of_json(described.at("schema"), exchange.body, Members::named);
  const json::value* item = described.if_contains("x-flynn-item");
  return item == nullptr ? "" : problem_of_items(*item, exchange.body, type == "text/event-stream");
}

std::string OpenApiChecker::problem_of_items(const json::value& schema, const std::string& text, bool events) {
  constexpr std::string_view kData = "data: ";
  for (std::string line : split(text, '\n')) {
    if (line.empty() || (events && line == ":")) continue;
    if (events && !line.starts_with(kData)) return "no event: " + line;
    if (events) line.erase(0, kData.size());
    const std::string bad = problem_of_json(schema, line, Members::named);
    if (!bad.empty()) return bad + line;
  }
  return {};
}

std::string OpenApiChecker::problem_of_json(const json::value& schema, const std::string& text, Members members) {
  auto parsed = parse_json(text);
  return parsed ? compiled(schema, members).mismatch(*parsed) : "no JSON: " + parsed.error().message;
}

const OpenApiChecker::Compiled& OpenApiChecker::compiled(const json::value& schema, Members members) {
  auto& known = compiled_[(members == Members::named ? "named " : "any ") + json::serialize(schema)];
  if (known == nullptr) {
    const bool named = members == Members::named;
    const json::object source{{"components", named ? closed_components_ : open_components_},
                              {"allOf", {named ? closed(schema) : schema}}};
    known = std::make_unique<Compiled>(source);
  }
  return *known;
}

}  // namespace flynn::controller
