#include <fstream>
#include <ostream>
#include <sstream>

#include "../clock_text.h"
#include "../deploy.h"
#include "../documents.h"
#include "../events.h"
#include "../names.h"
#include "../release_update.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr std::chrono::seconds kDeleteTimeout{60};

Result<json::array> releases_of(Session& session) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto releases = (*client)->get(*path + "/releases");
  if (!releases) return releases.error();
  return as_array(*releases);
}

Result<int> list(Session& session, const Arguments& arguments) {
  const auto releases = releases_of(session);
  if (!releases) return releases.error();
  if (arguments.has("quiet")) {
    for (const json::value& release : *releases) session.out() << text_of(as_object(release), "id") << '\n';
    return 0;
  }
  Table table({"ID", "Created"});
  for (const json::value& release : *releases) {
    table.add({text_of(as_object(release), "id"), human_ago(text_of(as_object(release), "created_at"), wall_now())});
  }
  table.print(session.out());
  return 0;
}

Result<json::object> named_or_current(Session& session, const std::string& id) {
  const auto client = session.controller();
  if (!client) return client.error();
  if (!id.empty()) {
    const auto release = (*client)->get("/releases/" + percent_encode(id));
    if (!release) return release.error();
    return as_object(*release);
  }
  const auto app = session.app();
  if (!app) return app.error();
  return require_release(**client, *app);
}

std::string joined_keys(const json::object& object) {
  std::string text;
  for (const auto& entry : object) text += (text.empty() ? "" : ", ") + std::string(entry.key());
  return text;
}

Result<int> show(Session& session, const Arguments& arguments) {
  const auto release = named_or_current(session, arguments.at(0));
  if (!release) return release.error();
  if (session.json()) return session.show(*release), 0;
  const auto client = session.controller();
  Table table({"ID:", text_of(*release, "id")});
  std::size_t index = 0;
  for (const json::value& artifact : array_of(*release, "artifacts")) {
    const std::string id = artifact.is_string() ? std::string(artifact.get_string()) : "";
    const auto document = (*client)->get("/artifacts/" + percent_encode(id));
    if (!document) return document.error();
    const json::object& object = as_object(*document);
    table.add({"Artifact[" + std::to_string(index++) + "]:", text_of(object, "type") + "+" + text_of(object, "uri")});
  }
  table.add({"Process Types:", joined_keys(object_of(*release, "processes"))});
  table.add({"Created At:", text_of(*release, "created_at")});
  for (const auto& [label, member] : {std::pair{"ENV", "env"}, std::pair{"META", "meta"}}) {
    const json::object& entries = object_of(*release, member);
    for (const auto& entry : entries) {
      table.add({std::string(label) + "[" + std::string(entry.key()) + "]:", text_of(entries, entry.key())});
    }
  }
  session.show(table);
  return 0;
}

Result<int> update(Session& session, const Arguments& arguments) {
  std::ifstream file(arguments.at(0));
  if (!file) return failure("read " + arguments.at(0) + ": cannot open the file").as(ErrorCode::kFileUnreadable);
  std::ostringstream text;
  text << file.rdbuf();
  const auto changes = parse_json(arguments.at(0), text.str());
  if (!changes) return changes.error();
  const auto app = session.app();
  if (!app) return app.error();
  auto release = named_or_current(session, arguments.at(1));
  if (!release) return release.error();
  const auto client = session.controller();
  const auto current = current_release(**client, *app);
  if (!current) return current.error();
  const std::string step = "deploy release " + text_of(*release, "id") + " changed by " + arguments.at(0);
  if (auto begun = begin_release(session, *app, *current, {step}); !begun) return begun.error();
  auto updated = update_release(std::move(*release), as_object(*changes), arguments.has("clean"));
  const auto id = release_and_deploy(**client, *app, std::move(updated));
  if (!id) return id.error();
  return session.done("Created release " + *id + ".\n", {{"release", *id}});
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string id = arguments.at(0);
  if (!arguments.has("yes") && !session.confirm("Are you sure you want to delete release \"" + id + "\"?")) {
    return failure("Nothing was deleted.").as(ErrorCode::kDeclined);
  }
  auto begun = session.begin({{"delete release " + id + " with its layers"}, "", "a deleted release is gone"});
  if (!begun) return begun.error();
  const auto app = session.app();
  auto events = EventStream::open(
      **client, "app_id=" + percent_encode(*app) + "&object_types=release_deletion&object_id=" + percent_encode(id));
  if (!events) return events.error();
  if (auto asked = (*client)->remove(*path + "/releases/" + percent_encode(id)); !asked) return asked.error();
  const auto event = events->next(deadline_after(kDeleteTimeout));
  if (!event) return event.error().context("delete release " + id);
  const json::object& data = object_of(*event, "data");
  if (!text_of(data, "error").empty()) return failure("delete release " + id + ": " + text_of(data, "error"));
  const json::object& deletion = object_of(data, "release_deletion");
  const std::size_t others = array_of(deletion, "remaining_apps").size();
  const std::size_t files = array_of(deletion, "deleted_files").size();
  const std::string words = others > 0 ? "Deleted release " + id + " from " + *app + ", still associated with " +
                                             std::to_string(others) + " other apps\n"
                                       : "Deleted release " + id + " (deleted " + std::to_string(files) + " files)\n";
  return session.done(words, {{"release", id}, {"files", files}});
}

/// The release to go back to: the named one, else the second newest.
Result<std::string> rollback_target(Session& session, const std::string& named) {
  if (!named.empty()) return named;
  const auto releases = releases_of(session);
  if (!releases) return releases.error();
  if (releases->size() < 2)
    return failure("Not enough releases to perform a rollback.", "'flynn release' lists them.")
        .as(ErrorCode::kReleaseNotFound);
  return text_of(as_object((*releases)[1]), "id");
}

Result<int> rollback(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto current = require_release(**client, *app);
  if (!current) return current.error();
  const auto target = rollback_target(session, arguments.at(0));
  if (!target) return target.error();
  const std::string from = text_of(*current, "id");
  if (*target == from)
    return failure("Release " + from + " is the current release.", "'flynn release' lists the others.");
  const std::string question = "Are you sure you want to roll back to release \"" + *target + "\"?";
  if (!arguments.has("yes") && !session.confirm(question)) {
    return failure("Nothing was changed.").as(ErrorCode::kDeclined);
  }
  if (auto begun = begin_release(session, *app, *current, {"deploy release " + *target + " in place of " + from});
      !begun)
    return begun.error();
  session.err() << "Rolling back to release " << *target << " from " << from << ".\n";
  if (auto deployed = deploy(**client, *app, *target); !deployed) return deployed.error();
  return session.done("Successfully rolled back to release " + *target + ".\n", {{"release", *target}});
}

}  // namespace

CommandList release_commands() {
  return {
      {"release", "", "List the releases of an app", {{'q', "quiet", "", "ids only"}}, 0, 0, list},
      {"release show", "[<id>]", "Show a release (default: the current one)", {}, 0, 1, show},
      {"release update",
       "<file> [<id>]",
       "Deploy a release changed by the env, meta and processes of a JSON file",
       {{0, "clean", "", "replace those members instead of merging them"}},
       1,
       2,
       update},
      {"release delete", "<id>", "Delete a release", {{'y', "yes", "", "do not ask"}}, 1, 1, remove},
      {"release rollback",
       "[<id>]",
       "Deploy an earlier release (default: the one before the newest)",
       {{'y', "yes", "", "do not ask"}},
       0,
       1,
       rollback},
      {"rollback", "[<id>]", "The same as 'release rollback'", {{'y', "yes", "", "do not ask"}}, 0, 1, rollback},
  };
}

}  // namespace flynn::cli
