#include "image_config.h"

#include <boost/json/value_from.hpp>
#include <charconv>
#include <sstream>

#include "documents.h"

namespace flynn::cli {
namespace {

constexpr std::int64_t kPort = 8080;
constexpr std::int64_t kIdMax = 4294967294;
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// -1: no number.
std::int64_t number_in(const std::string& text) {
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= kIdMax ? number : -1;
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream text(line);
  for (std::string field; std::getline(text, field, ':');) fields.push_back(field);
  return fields;
}

/// The line of /etc/passwd or /etc/group whose name (or, for a number, id) is `wanted`; empty when there is none.
std::vector<std::string> entry_of(const std::string& file, const std::string& wanted) {
  const bool by_id = number_in(wanted) >= 0;
  std::istringstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    auto fields = fields_of(line);
    if (fields.size() >= 3 && fields[by_id ? 2 : 0] == wanted) return fields;
  }
  return {};
}

const json::object& settings_of(const json::object& config) { return object_of(config, "config"); }

std::vector<std::string> strings_of(const json::object& document, std::string_view member) {
  std::vector<std::string> texts;
  for (const json::value& value : array_of(document, member))
    if (value.is_string()) texts.emplace_back(value.get_string());
  return texts;
}

Error nobody(const std::string& what, const std::string& name) {
  return failure("the image runs as " + what + " \"" + name + "\", which its /etc/" +
                     (what == "user" ? "passwd" : "group") + " does not have",
                 "Build the image with a number there: USER 1000:1000")
      .as(ErrorCode::kValidation);
}

}  // namespace

bool needs_files(const std::string& user) {
  if (user.empty()) return false;
  const auto colon = user.find(':');
  return colon == std::string::npos || number_in(user.substr(0, colon)) < 0 || number_in(user.substr(colon + 1)) < 0;
}

Result<ImageUser> find_user(const std::string& user, const std::string& passwd, const std::string& group) {
  if (user.empty()) return ImageUser{};
  const auto colon = user.find(':');
  const std::string name = user.substr(0, colon);
  const auto entry = entry_of(passwd, name);
  ImageUser found{number_in(name), 0, entry.size() > 5 ? entry[5] : "/"};
  if (found.uid < 0 && entry.empty()) return nobody("user", name);
  if (found.uid < 0) found.uid = number_in(entry[2]);
  if (found.uid < 0) return nobody("user", name);
  if (found.uid == 0 && entry.empty()) found.home = "/root";
  if (entry.size() > 3) found.gid = std::max<std::int64_t>(0, number_in(entry[3]));
  if (colon == std::string::npos) return found;
  const std::string of = user.substr(colon + 1);
  const auto group_entry = entry_of(group, of);
  found.gid = group_entry.empty() ? number_in(of) : number_in(group_entry[2]);
  if (found.gid < 0) return nobody("group", of);
  return found;
}

std::map<std::string, std::string> image_env(const json::object& config) {
  std::map<std::string, std::string> env;
  for (const std::string& pair : strings_of(settings_of(config), "Env")) {
    const auto equals = pair.find('=');
    if (equals != std::string::npos && equals > 0) env[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return env;
}

std::vector<std::string> image_args(const json::object& config) {
  auto args = strings_of(settings_of(config), "Entrypoint");
  for (std::string& word : strings_of(settings_of(config), "Cmd")) args.push_back(std::move(word));
  return args;
}

json::object image_manifest(const json::object& config, const ImageUser& user, const std::vector<json::value>& layers) {
  auto env = image_env(config);
  // What Docker itself adds.
  env.emplace("PATH", kDefaultPath);
  env.emplace("HOME", user.home);
  const std::string folder = text_of(settings_of(config), "WorkingDir");
  const std::string machine = text_of(config, "architecture"), system = text_of(config, "os");
  json::object entrypoint{{"env", json::value_from(env)},
                          {"cwd", folder.empty() ? "/" : folder},
                          {"args", json::value_from(image_args(config))},
                          {"uid", user.uid},
                          {"gid", user.gid}};
  json::object platform{{"architecture", machine.empty() ? "amd64" : machine},
                        {"os", system.empty() ? "linux" : system}};
  json::object root{{"platform", std::move(platform)}, {"layers", json::array(layers.begin(), layers.end())}};
  return {{"_type", "application/vnd.flynn.image.manifest.v1+json"},
          {"meta", json::object()},
          {"entrypoints", json::object{{"_default", std::move(entrypoint)}}},
          {"rootfs", json::array{std::move(root)}}};
}

json::object docker_release(json::object release, const std::string& app, const std::string& artifact,
                            const json::object& config) {
  const auto object_in = [](json::object& owner, std::string_view member) -> json::object& {
    json::value& value = owner[member];
    if (!value.is_object()) value = json::object();
    return value.get_object();
  };
  release["artifacts"] = json::array{artifact};
  json::object& env = object_in(release, "env");
  for (const auto& [key, value] : image_env(config))
    if (!env.contains(key)) env[key] = value;
  json::object& process = object_in(object_in(release, "processes"), "app");
  process["args"] = json::value_from(image_args(config));
  if (array_of(process, "ports").empty()) {
    process["ports"] = json::array{json::object{
        {"port", kPort}, {"proto", "tcp"}, {"service", json::object{{"name", app + "-web"}, {"create", true}}}}};
  }
  return release;
}

}  // namespace flynn::cli
