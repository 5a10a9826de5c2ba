#include <ostream>

#include "../clock_text.h"
#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../release_diff.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kChangesShown = 3;

/// Newest first, as the controller lists them.
Result<json::array> releases_of(Session& session) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto releases = (*client)->get(*path + "/releases");
  if (!releases) return app_not_found(*session.app(), releases.error());
  return as_array(*releases);
}

const json::object& release_at(const json::array& releases, std::size_t index) {
  static const json::object none;
  return index < releases.size() ? as_object(releases[index]) : none;
}

Result<int> list(Session& session, const Arguments& arguments) {
  const auto releases = releases_of(session);
  if (!releases) return releases.error();
  if (arguments.has("quiet") && !session.json()) {
    for (const json::value& release : *releases) session.out() << text_of(as_object(release), "id") << '\n';
    return 0;
  }
  const auto client = session.controller();
  const auto current = current_release(**client, *session.app());
  if (!current) return current.error();
  Table table({"ID", "CREATED", "BY", "CHANGED", "CURRENT"});
  for (std::size_t i = 0; i < releases->size(); ++i) {
    const json::object& release = release_at(*releases, i);
    const json::object& before = release_at(*releases, i + 1);
    const std::string created = text_of(release, "created_at");
    const std::string id = text_of(release, "id");
    table.add({id, session.json() ? created : human_ago(created, wall_now()), maker_of(release, before),
               summary_of(diff_releases(before, release), kChangesShown), id == text_of(*current, "id") ? "yes" : ""});
  }
  session.show(table);
  return 0;
}

Result<json::object> named(Session& session, const std::string& id) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto release = (*client)->get("/releases/" + percent_encode(id));
  if (release) return as_object(*release);
  if (release.error().kind != Failure::kNotFound) return release.error();
  return Error{"release " + id + " not found", "'flynn releases' lists them.", Failure::kNotFound}.as(
      ErrorCode::kReleaseNotFound);
}

/// The release before `release` in the app's list; empty when it is the first.
Result<json::object> before_of(Session& session, const json::object& release) {
  const auto releases = releases_of(session);
  if (!releases) return releases.error();
  for (std::size_t i = 0; i < releases->size(); ++i) {
    if (text_of(release_at(*releases, i), "id") == text_of(release, "id")) return release_at(*releases, i + 1);
  }
  return json::object();
}

Result<std::pair<json::object, json::object>> sides_of(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const bool two = arguments.values.size() == 2;
  auto to = arguments.values.empty() ? require_release(**client, *app) : named(session, arguments.at(two ? 1 : 0));
  if (!to) return to.error();
  auto from = two ? named(session, arguments.at(0)) : before_of(session, *to);
  if (!from) return from.error();
  return std::pair{std::move(*from), std::move(*to)};
}

Result<int> diff(Session& session, const Arguments& arguments) {
  const auto sides = sides_of(session, arguments);
  if (!sides) return sides.error();
  const auto& [from, to] = *sides;
  const bool values = arguments.has("values");
  json::array changes;
  session.out() << "--- " << (from.empty() ? "(nothing)" : text_of(from, "id")) << "\n+++ " << text_of(to, "id")
                << '\n';
  for (const ReleaseChange& change : diff_releases(from, to)) {
    const char sign = change.before.empty() ? '+' : change.after.empty() ? '-' : '~';
    json::object entry{{"change", std::string(1, sign)}, {"what", change.what}};
    session.out() << sign << ' ' << change.what;
    if (values) {
      entry["before"] = change.before;
      entry["after"] = change.after;
      session.out() << ": " << change.before << (sign == '~' ? " => " : "") << change.after;
    }
    session.out() << '\n';
    changes.push_back(std::move(entry));
  }
  if (session.json())
    session.show(
        json::object{{"from", text_of(from, "id")}, {"to", text_of(to, "id")}, {"changes", std::move(changes)}});
  return 0;
}

}  // namespace

CommandList history_commands() {
  return {
      {"releases",
       "",
       "List the releases of an app: who made each, and what it changed",
       {{'q', "quiet", "", "ids only"}},
       0,
       0,
       list},
      {"diff",
       "[[<from>] <to>]",
       "Show what a release changed (default: the current one against the one before)",
       {{0, "values", "", "show the values too, secrets among them"}},
       0,
       2,
       diff},
  };
}

}  // namespace flynn::cli
