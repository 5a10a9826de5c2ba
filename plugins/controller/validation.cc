#include "validation.h"

#include <algorithm>
#include <array>

#include "document.h"
#include "member_types.h"

namespace flynn::controller {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// Groups of [a-z0-9] with one dash between them.
bool is_dashed_word(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_lower_or_digit(text[i])) continue;
    if (text[i] != '-' || text[i - 1] == '-') return false;
  }
  return true;
}

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

Verdict check_ports(std::string_view type, const json::array& ports) {
  for (const json::value& entry : ports) {
    const json::object& port = entry.get_object();  // as wrong_member_of_process has seen
    std::int64_t number = number_of(port, "port");
    if (number < 0 || number > 65535)
      return validation("processes", "of type " + std::string(type) + ": port out of range");
    std::string proto = text_of(port, "proto", "tcp");
    if (proto != "tcp" && proto != "udp")
      return validation("processes", "of type " + std::string(type) + ": proto must be tcp or udp");
    std::string service = text_of(object_of(port, "service"), "name");
    if (!service.empty() && !is_service_name(service)) {
      return validation("processes", "of type " + std::string(type) + ": bad service name \"" + service + "\"");
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_app_name(std::string_view name) { return name.size() <= kNameSizeMax && is_dashed_word(name); }

bool is_process_type(std::string_view type) {
  if (type.empty() || type.size() > 64) return false;
  return std::all_of(type.begin(), type.end(),
                     [](char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

bool is_domain(std::string_view domain) {
  if (domain.starts_with("*.")) domain.remove_prefix(2);
  if (domain.empty() || domain.size() > 253) return false;
  while (true) {
    std::string_view label = domain.substr(0, domain.find('.'));
    if (!is_label(label)) return false;
    if (label.size() == domain.size()) return true;
    domain.remove_prefix(label.size() + 1);
  }
}

bool is_service_name(std::string_view service) {
  if (service.empty() || service.size() > 128 || !is_lower_or_digit(service.front())) return false;
  return std::all_of(service.begin(), service.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_strategy(std::string_view strategy) {
  constexpr std::array<std::string_view, 6> kStrategies = {"all-at-once", "one-by-one",     "one-down-one-up",
                                                           "in-batches",  "discoverd-meta", "sirenia"};
  return std::find(kStrategies.begin(), kStrategies.end(), strategy) != kStrategies.end();
}

Verdict check_env(std::string_view field, const json::object& env) {
  std::size_t total = 0;
  for (const auto& entry : env) {
    std::string_view key = entry.key();
    if (key.empty()) return validation(std::string(field), "has an empty key");
    if (key.find('=') != std::string_view::npos || key.find('\0') != std::string_view::npos) {
      return validation(std::string(field), "has a key with \"=\" or NUL in it");
    }
    // The value itself is a secret: only its name may stand in a message.
    if (!entry.value().is_string())
      return validation(std::string(field), "of " + std::string(key) + " must be a string");
    std::string_view value = entry.value().get_string();
    if (value.find('\0') != std::string_view::npos)
      return validation(std::string(field), "of " + std::string(key) + " has a NUL in it");
    total += key.size() + value.size();
  }
  if (total > kEnvBytesMax) return validation(std::string(field), "is larger than 256 KiB");
  return std::nullopt;
}

Verdict check_meta(const json::object& meta) {
  for (const auto& entry : meta) {
    if (!entry.value().is_string()) return validation("meta", "of " + std::string(entry.key()) + " must be a string");
  }
  return std::nullopt;
}

Verdict check_processes(const json::object& processes) {
  for (const auto& entry : processes) {
    std::string_view type = entry.key();
    if (!is_process_type(type)) return validation("processes", "has a bad type name \"" + std::string(type) + "\"");
    if (!entry.value().is_object())
      return validation("processes", "of type " + std::string(type) + " must be an object");
    const json::object& process = entry.value().get_object();
    if (std::string bad = wrong_member_of_process(process); !bad.empty())
      return validation("processes", "of type " + std::string(type) + ": " + bad);
    if (Verdict bad = check_env("env", object_of(process, "env"))) return bad;
    std::string service = text_of(process, "service");
    if (!service.empty() && !is_service_name(service)) {
      return validation("processes", "of type " + std::string(type) + ": bad service name \"" + service + "\"");
    }
    if (Verdict bad = check_ports(type, array_of(process, "ports"))) return bad;
  }
  return std::nullopt;
}

Verdict check_counts(std::string_view field, const json::object& counts) {
  for (const auto& entry : counts) {
    const json::value& count = entry.value();
    std::int64_t number = number_of(counts, entry.key(), -1);
    if (!(count.is_int64() || count.is_uint64()) || number < 0 || number > kCountMax) {
      return validation(std::string(field), "of " + std::string(entry.key()) + " must be an integer from 0 to 10000");
    }
  }
  return std::nullopt;
}

Verdict check_tags(std::string_view field, const json::object& tags) {
  for (const auto& entry : tags) {
    const json::object of_type = object_of(tags, entry.key());
    const bool map = entry.value().is_object() || entry.value().is_null();
    if (!map || !std::all_of(of_type.begin(), of_type.end(), [](const auto& tag) { return tag.value().is_string(); }))
      return validation(std::string(field), "of " + std::string(entry.key()) + " must be an object of strings");
  }
  return std::nullopt;
}

std::string unknown_types(const json::object& counts, const json::object& release_processes) {
  std::string out;
  for (const auto& entry : counts) {
    if (release_processes.contains(entry.key())) continue;
    out += (out.empty() ? "" : ", ") + std::string(entry.key());
  }
  return out;
}

}  // namespace flynn::controller
