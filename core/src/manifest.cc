#include "manifest.h"

#include <algorithm>
#include <charconv>
#include <regex>

#include "flynn/plugin.h"
#include "flynn/sdk/json.h"

namespace flynn::core {
namespace {

constexpr std::size_t kNameSizeMax = 64;
constexpr std::size_t kListSizeMax = 64;

Error wrong(std::string_view member, std::string_view what) {
  return Error{Code::invalid_argument, "manifest: " + std::string(member) + " " + std::string(what)};
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 6) return std::nullopt;
  return value;
}

bool is_interface_name(std::string_view name) {
  if (name.empty() || name.size() > kNameSizeMax || name.front() == '.' || name.back() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
}

Result<std::vector<std::string>> strings(const json::object& document, std::string_view member) {
  const auto* value = document.if_contains(member);
  if (value == nullptr || value->is_null()) return std::vector<std::string>{};
  if (!value->is_array()) return wrong(member, "must be a list of strings");
  if (value->get_array().size() > kListSizeMax) return wrong(member, "has more than 64 entries");
  std::vector<std::string> list;
  for (const auto& entry : value->get_array()) {
    if (!entry.is_string()) return wrong(member, "must be a list of strings");
    list.emplace_back(entry.get_string());
  }
  return list;
}

Result<std::vector<InterfaceId>> interfaces(const json::object& document, std::string_view member) {
  auto texts = strings(document, member);
  if (!texts) return texts.error();
  std::vector<InterfaceId> list;
  for (const auto& text : *texts) {
    auto id = InterfaceId::parse(text);
    if (!id) return wrong(member, "has \"" + text + "\", which is no interface like \"flynn.store/1.0\"");
    list.push_back(std::move(*id));
  }
  return list;
}

Result<void> read_abi(const json::object& document, Manifest& manifest) {
  const auto text = string_or(document, "abi");
  const auto dot = text.find('.');
  const auto major = number(std::string_view(text).substr(0, dot));
  const auto minor = dot == std::string::npos ? std::nullopt : number(std::string_view(text).substr(dot + 1));
  if (!major || !minor) return wrong("abi", "must be \"MAJOR.MINOR\", but is \"" + text + "\"");
  manifest.abi_major = *major;
  manifest.abi_minor = *minor;
  if (*major != FLYNN_ABI_MAJOR || *minor > FLYNN_ABI_MINOR) {
    return wrong("abi", "is " + text + ", but this host speaks " + std::to_string(FLYNN_ABI_MAJOR) + "." +
                            std::to_string(FLYNN_ABI_MINOR) + ": use a plugin built for it, or a newer host");
  }
  return {};
}

Result<void> read_lists(const json::object& document, Manifest& manifest) {
  for (auto [member, list] : {std::pair{"provides", &manifest.provides}, std::pair{"requires", &manifest.requires_},
                              std::pair{"optional", &manifest.optional}}) {
    auto read = interfaces(document, member);
    if (!read) return read.error();
    *list = std::move(*read);
  }
  auto capabilities = strings(document, "capabilities");
  if (!capabilities) return capabilities.error();
  manifest.capabilities = *capabilities;
  for (const auto& capability : *capabilities) {
    constexpr std::string_view kListen = "listen:";
    if (capability.starts_with(kListen)) manifest.listeners.push_back(capability.substr(kListen.size()));
    if (capability == "operate") manifest.operates = true;
  }
  return {};
}

}  // namespace

std::string InterfaceId::text() const { return name + "/" + std::to_string(major) + "." + std::to_string(minor); }

std::optional<InterfaceId> InterfaceId::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || !is_interface_name(text.substr(0, slash))) return std::nullopt;
  const auto rest = text.substr(slash + 1);
  const auto dot = rest.find('.');
  const auto major = number(rest.substr(0, dot));
  const auto minor = dot == std::string_view::npos ? std::optional<std::uint32_t>(0) : number(rest.substr(dot + 1));
  if (!major || !minor) return std::nullopt;
  return InterfaceId{std::string(text.substr(0, slash)), *major, *minor};
}

bool Manifest::provides_interface(const InterfaceId& wanted) const {
  return std::any_of(provides.begin(), provides.end(), [&](const auto& have) { return have.satisfies(wanted); });
}

bool is_slot_name(std::string_view name) {
  if (name.empty() || name.size() > kNameSizeMax) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

bool is_semver(std::string_view version) {
  static const std::regex pattern(
      R"((0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?)");
  return version.size() <= 160 && std::regex_match(version.begin(), version.end(), pattern);
}

Result<Manifest> parse_manifest(std::string_view text) {
  auto document = parse_json_object(text);
  if (!document) return document.error().context("manifest");
  Manifest manifest;
  manifest.text = std::string(text);
  manifest.name = string_or(*document, "name");
  manifest.version = string_or(*document, "version");
  manifest.description = string_or(*document, "description");
  if (!is_slot_name(manifest.name)) {
    return wrong("name", "must be a letter followed by at most 63 letters, digits, '-' or '_', but is \"" +
                             manifest.name + "\"");
  }
  if (!is_semver(manifest.version)) {
    return wrong("version", "must be a semantic version like \"1.2.3\", but is \"" + manifest.version + "\"");
  }
  if (auto read = read_abi(*document, manifest); !read) return read.error();
  if (auto read = read_lists(*document, manifest); !read) return read.error();
  const auto swap = string_or(*document, "swap", "overlap");
  if (swap != "overlap" && swap != "exclusive") {
    return wrong("swap", "must be \"overlap\" or \"exclusive\", but is \"" + swap + "\"");
  }
  manifest.swap = swap == "overlap" ? SwapMode::overlap : SwapMode::exclusive;
  const auto* schema = find_object(*document, "config");
  manifest.config_schema = schema == nullptr ? "{}" : json::serialize(*schema);
  return manifest;
}

std::vector<std::string> judge(const ElfFacts& facts) {
  std::vector<std::string> problems;
  if (facts.manifest_text.empty()) {
    problems.emplace_back("it has no .note.flynn with a manifest: build it with flynn_add_plugin");
  } else if (auto manifest = parse_manifest(facts.manifest_text); !manifest) {
    problems.push_back(manifest.error().message);
  }
  if (facts.exports != std::vector<std::string>{"flynn_plugin_entry_1"}) {
    std::string others;
    std::size_t named = 0;
    for (const auto& name : facts.exports) {
      if (name != "flynn_plugin_entry_1" && named++ < 5) others += (others.empty() ? "" : ", ") + name;
    }
    problems.push_back(others.empty() ? std::string("it does not export flynn_plugin_entry_1: use FLYNN_PLUGIN")
                                      : "it must export flynn_plugin_entry_1 alone, but exports " + others +
                                            (named > 5 ? " and " + std::to_string(named - 5) + " more" : "") +
                                            ": link it with the version script flynn.map");
  }
  if (!facts.unique_symbols.empty()) {
    problems.push_back("it has GNU_UNIQUE symbols (" + facts.unique_symbols.front() +
                       "), which would pin it in memory: compile it with -fno-gnu-unique");
  }
  if (facts.has_nodelete) problems.emplace_back("it is linked with -z nodelete, so it could never be unloaded");
  if (facts.has_text_relocations) problems.emplace_back("it has text relocations: compile it with -fPIC");
  if (facts.has_rpath) problems.emplace_back("it has an RPATH: link it without");
  if (!facts.binds_now) problems.emplace_back("it binds lazily: link it with -z now");
  return problems;
}

Result<Manifest> verify_plugin(const std::filesystem::path& path) {
  auto facts = probe_elf(path);
  if (!facts) return facts.error();
  const auto problems = judge(*facts);
  if (problems.empty()) return parse_manifest(facts->manifest_text);
  std::string text = path.string() + " can't be loaded: " + problems.front();
  for (std::size_t i = 1; i < problems.size(); ++i) text += "; " + problems[i];
  return Error{Code::failed_precondition, text};
}

}  // namespace flynn::core
