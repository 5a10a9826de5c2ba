#include "contract.h"

#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config_schema.h"

namespace flynn::authoring {
namespace {

Result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return errno_error(errno, "open " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

json::object object_or_empty(const json::object& object, std::string_view key) {
  const auto* found = find_object(object, key);
  return found == nullptr ? json::object{} : *found;
}

Method method_of(std::string_view name, const json::object& facts) {
  Method method;
  method.name = name;
  method.request = object_or_empty(facts, "request");
  method.reply = object_or_empty(facts, "reply");
  method.errors = strings_or_empty(facts, "errors");
  method.example = object_or_empty(facts, "example");
  method.since = static_cast<std::uint32_t>(int_or(facts, "since"));
  method.optional = bool_or(facts, "optional");
  method.takes_descriptor = bool_or(facts, "fd");
  method.gives_descriptor = bool_or(facts, "stream");
  return method;
}

}  // namespace

const Method* Contract::method(std::string_view name) const {
  for (const auto& one : methods)
    if (one.name == name) return &one;
  return nullptr;
}

std::string interfaces_folder() {
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  const auto installed = self.parent_path().parent_path() / "share/flynn/interfaces";
  return std::filesystem::exists(installed, failure) ? installed.string() : FLYNN_INTERFACES_DIR;
}

std::vector<std::string> interfaces_with_contract() {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(interfaces_folder(), failure)) {
    if (entry.path().extension() != ".json") continue;
    const auto text = read_file(entry.path());
    const auto document = text ? parse_json_object(*text) : Result<json::object>(text.error());
    if (document) names.push_back(string_or(*document, "interface"));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::optional<Contract>> load_contract(const std::string& interface) {
  const auto slash = interface.find('/');
  const std::string prefix = "flynn.";
  if (!interface.starts_with(prefix) || slash == std::string::npos) return std::optional<Contract>();
  const std::filesystem::path path =
      interfaces_folder() + "/" + interface.substr(prefix.size(), slash - prefix.size()) + ".json";
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) return std::optional<Contract>();
  auto text = read_file(path);
  if (!text) return text.error();
  auto document = parse_json_object(*text);
  if (!document) return document.error().context(path.string());
  if (string_or(*document, "interface") != interface) return std::optional<Contract>();
  Contract contract;
  contract.interface = interface;
  if (const auto* methods = find_object(*document, "methods"))
    for (const auto& [name, facts] : *methods)
      if (facts.is_object()) contract.methods.push_back(method_of(name, facts.get_object()));
  if (const auto* suite = find_array(*document, "suite"))
    for (const auto& scenario : *suite)
      if (scenario.is_object()) contract.suite.push_back(scenario.get_object());
  if (const auto* lines = find_array(*document, "passing_lines"))
    contract.passing_lines.assign(lines->begin(), lines->end());
  return std::optional(std::move(contract));
}

std::string schema_fault(const json::object& schema, const json::object& document) {
  // A configuration is judged by the same kind of schema; its whole is called so.
  const auto judged = core::apply_config_schema(json::serialize(schema), json::serialize(document));
  if (judged) return {};
  const std::string whole = "configuration: ";
  const auto& words = judged.error().message;
  return words.starts_with(whole) ? words.substr(whole.size()) : words;
}

std::string reply_fault(const Method& method, const json::object& body, const std::vector<UniqueFd>& descriptors) {
  const auto answer = method.name + " answers " + json::serialize(body);
  if (auto wrong = schema_fault(method.reply, body); !wrong.empty())
    return answer + ", which is not what its contract says: " + wrong;
  if (method.gives_descriptor && descriptors.empty())
    return answer + " without the descriptor that its contract promises";
  if (!method.gives_descriptor && !descriptors.empty())
    return answer + " with a descriptor that its contract does not know";
  for (const auto& fd : descriptors)
    if (::fcntl(fd.get(), F_GETFD) < 0)
      return answer + " with the descriptor " + std::to_string(fd.get()) + ", which is not open";
  return {};
}

}  // namespace flynn::authoring
