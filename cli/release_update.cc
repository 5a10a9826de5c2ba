#include "release_update.h"

#include "documents.h"

namespace flynn::cli {
namespace {

json::object& object_in(json::object& owner, std::string_view member) {
  json::value& value = owner[member];
  if (!value.is_object()) value = json::object();
  return value.get_object();
}

void merge_keys(json::object& into, const json::object& changes) {
  for (const auto& entry : changes) {
    if (entry.value().is_null()) {
      into.erase(entry.key());
    } else {
      into[entry.key()] = entry.value();
    }
  }
}

void merge_process(json::object& process, const json::object& changes) {
  for (const auto& member : changes) {
    if (member.key() == "env") {
      merge_keys(object_in(process, "env"), as_object(member.value()));
    } else {
      process[member.key()] = member.value();
    }
  }
}

}  // namespace

json::object update_release(json::object release, const json::object& changes, bool clean) {
  for (const std::string_view member : {"env", "meta"}) {
    if (clean) release[member] = json::object();
    merge_keys(object_in(release, member), object_of(changes, member));
  }
  if (clean) release["processes"] = json::object();
  json::object& processes = object_in(release, "processes");
  for (const auto& type : object_of(changes, "processes")) {
    merge_process(object_in(processes, type.key()), as_object(type.value()));
  }
  if (changes.contains("artifacts")) release["artifacts"] = changes.at("artifacts");
  return release;
}

}  // namespace flynn::cli
