#include "release_diff.h"

#include <map>

#include "documents.h"
#include "sizes.h"

namespace flynn::cli {
namespace {

using Flat = std::map<std::string, std::string>;

constexpr std::size_t kCommitShown = 8;

std::string text_from(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

void add_resources(const std::string& type, const json::object& resources, Flat& flat) {
  for (const auto& resource : resources) {
    const std::string name(resource.key());
    const auto limit = number_of(as_object(resource.value()), "limit", -1);
    if (limit >= 0) flat[type + " " + name] = format_limit(name, limit);
  }
}

void add_process(const std::string& type, const json::object& process, Flat& flat) {
  flat[type] = "process type";
  for (const auto& member : process) {
    if (member.value().is_null()) continue;
    if (member.key() == "resources") {
      add_resources(type, as_object(member.value()), flat);
    } else if (member.key() == "env") {
      for (const auto& variable : as_object(member.value()))
        flat[type + " env " + std::string(variable.key())] = text_from(variable.value());
    } else {
      flat[type + " " + std::string(member.key())] = text_from(member.value());
    }
  }
}

Flat flattened(const json::object& release) {
  Flat flat;
  if (!array_of(release, "artifacts").empty()) flat["image"] = json::serialize(array_of(release, "artifacts"));
  for (const auto& variable : object_of(release, "env"))
    flat["env " + std::string(variable.key())] = text_from(variable.value());
  for (const auto& entry : object_of(release, "meta")) {
    if (entry.key() != kMadeBy) flat["meta " + std::string(entry.key())] = text_from(entry.value());
  }
  for (const auto& process : object_of(release, "processes"))
    add_process(std::string(process.key()), as_object(process.value()), flat);
  return flat;
}

}  // namespace

std::vector<ReleaseChange> diff_releases(const json::object& from, const json::object& to) {
  const Flat before = flattened(from);
  const Flat after = flattened(to);
  std::map<std::string, ReleaseChange> changes;
  for (const auto& [what, value] : before) {
    const auto now = after.find(what);
    if (now == after.end() || now->second != value) changes[what] = {what, value, ""};
  }
  for (const auto& [what, value] : after) {
    const auto then = before.find(what);
    if (then != before.end() && then->second == value) continue;
    ReleaseChange& change = changes[what];
    change.what = what;
    change.after = value;
  }
  std::vector<ReleaseChange> list;
  for (auto& [what, change] : changes) list.push_back(std::move(change));
  return list;
}

std::string summary_of(const std::vector<ReleaseChange>& changes, std::size_t most) {
  if (changes.empty()) return "no change";
  std::string text;
  for (std::size_t i = 0; i < changes.size() && i < most; ++i) {
    const ReleaseChange& change = changes[i];
    const char* sign = change.before.empty() ? "+" : change.after.empty() ? "-" : "";
    text += (text.empty() ? "" : ", ") + std::string(sign) + change.what;
  }
  if (changes.size() > most) text += " and " + std::to_string(changes.size() - most) + " more";
  return text;
}

std::string maker_of(const json::object& release, const json::object& before) {
  const json::object& meta = object_of(release, "meta");
  const std::string commit = text_of(meta, "git.commit");
  if (!commit.empty() && commit != text_of(object_of(before, "meta"), "git.commit"))
    return "git push " + commit.substr(0, kCommitShown);
  return text_of(meta, kMadeBy);
}

}  // namespace flynn::cli
