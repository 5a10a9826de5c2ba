#include "member_types.h"

#include <algorithm>
#include <array>

namespace flynn::controller {
namespace {

using enum MemberType;

constexpr std::array<MemberRule, 17> kProcess{{{"args", texts},
                                               {"cmd", texts},
                                               {"entrypoint", texts},
                                               {"env", object},
                                               {"ports", objects},
                                               {"volumes", objects},
                                               {"mounts", objects},
                                               {"resources", object},
                                               {"service", text},
                                               {"profiles", texts},
                                               {"linux_capabilities", texts},
                                               {"omni", flag},
                                               {"host_network", flag},
                                               {"host_pid_namespace", flag},
                                               {"resurrect", flag},
                                               {"writeable_cgroups", flag},
                                               {"data", flag}}};
constexpr std::array<MemberRule, 3> kPort{{{"port", integer}, {"proto", text}, {"service", object}}};
constexpr std::array<MemberRule, 3> kService{{{"name", text}, {"create", flag}, {"check", object}}};
constexpr std::array<MemberRule, 9> kCheck{{{"type", text},
                                            {"path", text},
                                            {"host", text},
                                            {"match", text},
                                            {"kill_down", flag},
                                            {"interval", integer},
                                            {"threshold", integer},
                                            {"start_timeout", integer},
                                            {"status", integer}}};
constexpr std::array<MemberRule, 2> kVolume{{{"path", text}, {"delete_on_stop", flag}}};
constexpr std::array<MemberRule, 2> kLimit{{{"request", integer}, {"limit", integer}}};

template <class Fits>
bool all(const json::value& value, Fits fits) {
  return value.is_array() && std::all_of(value.get_array().begin(), value.get_array().end(), fits);
}

bool has_type(const json::value& value, MemberType type) {
  switch (type) {
    case text:
      return value.is_string();
    case flag:
      return value.is_bool();
    case integer:
      return value.is_int64() || value.is_uint64();
    case object:
      return value.is_object();
    case texts:
      return all(value, [](const json::value& item) { return item.is_string(); });
    case objects:
      return all(value, [](const json::value& item) { return item.is_object(); });
  }
  return false;
}

std::string_view words_of(MemberType type) {
  switch (type) {
    case text:
      return "a string";
    case flag:
      return "true or false";
    case integer:
      return "an integer";
    case object:
      return "an object";
    case texts:
      return "an array of strings";
    case objects:
      return "an array of objects";
  }
  return "";
}

std::string in(std::string_view place, std::string problem) {
  return problem.empty() ? problem : std::string(place) + ": " + problem;
}

std::string wrong_member_of_port(const json::object& port) {
  if (std::string bad = wrong_member(port, kPort); !bad.empty()) return bad;
  const json::object service = object_of(port, "service");
  if (std::string bad = wrong_member(service, kService); !bad.empty()) return in("service", bad);
  return in("check", wrong_member(object_of(service, "check"), kCheck));
}

}  // namespace

std::string wrong_member(const json::object& document, std::span<const MemberRule> rules) {
  for (const MemberRule& rule : rules) {
    const json::value* value = member(document, rule.name);
    if (value != nullptr && !has_type(*value, rule.type))
      return std::string(rule.name) + " must be " + std::string(words_of(rule.type));
  }
  return {};
}

std::string wrong_member_of_process(const json::object& process) {
  if (std::string bad = wrong_member(process, kProcess); !bad.empty()) return bad;
  for (const json::value& port : array_of(process, "ports")) {
    if (std::string bad = wrong_member_of_port(port.get_object()); !bad.empty()) return in("ports", bad);
  }
  for (const json::value& volume : array_of(process, "volumes")) {
    if (std::string bad = wrong_member(volume.get_object(), kVolume); !bad.empty()) return in("volumes", bad);
  }
  const json::object resources = object_of(process, "resources");
  for (const auto& entry : resources) {
    if (entry.value().is_null()) continue;
    if (!entry.value().is_object()) return "resources: " + std::string(entry.key()) + " must be an object";
    if (std::string bad = wrong_member(entry.value().get_object(), kLimit); !bad.empty())
      return in("resources: " + std::string(entry.key()), bad);
  }
  return {};
}

}  // namespace flynn::controller
