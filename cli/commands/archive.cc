#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ostream>

#include "../app_archive.h"
#include "../database.h"
#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../terminal.h"
#include "families.h"

namespace flynn::cli {
namespace {

/// The documents of the app, by their names in the archive.
Result<std::map<std::string, json::value>> documents_of(ControllerClient& client, const std::string& app) {
  const std::string path = "/apps/" + percent_encode(app);
  std::map<std::string, json::value> documents;
  const auto owner = client.get(path);
  if (!owner) return app_not_found(app, owner.error());
  documents["app.json"] = *owner;
  const auto routes = client.get(path + "/routes");
  if (!routes) return routes.error();
  documents["routes.json"] = *routes;
  const auto release = require_release(client, app);
  if (!release) return release.error();
  documents["release.json"] = *release;
  json::array artifacts;
  for (const json::value& id : array_of(*release, "artifacts")) {
    const auto artifact = client.get("/artifacts/" + percent_encode(id.is_string() ? id.get_string() : ""));
    if (!artifact) return artifact.error();
    artifacts.push_back(*artifact);
  }
  documents["artifacts.json"] = std::move(artifacts);
  const auto formation = client.get(path + "/formations/" + percent_encode(text_of(*release, "id")));
  if (formation) documents["formation.json"] = *formation;
  return documents;
}

Result<int> export_app(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto documents = documents_of(**client, *app);
  if (!documents) return documents.error();
  UniqueFd file;
  int fd = 1;
  if (const std::string path = arguments.value("file"); !path.empty() && path != "-") {
    file.reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return failure("create " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    fd = file.get();
  } else if (is_terminal(1)) {
    return usage_error("an archive is not for a terminal", "flynn export -f " + *app + ".tar");
  }
  auto writer = ArchiveWriter::open(fd);
  if (!writer) return writer.error();
  for (const auto& [name, document] : *documents) {
    if (auto added = writer->add(*app + "/" + name, json::serialize(document)); !added) return added.error();
  }
  auto database = find_database(**client, *app);
  if (!database && database.error().code != ErrorCode::kNoDatabase) return database.error();
  if (database) {
    auto dump = temporary_file();
    if (!dump) return dump.error();
    const auto code = dump_database(*database, dump->get());
    if (!code) return code.error().context("dump the database");
    if (*code != 0) return failure("dump the database: pg_dump ended with exit status " + std::to_string(*code));
    if (auto added = writer->add_file(*app + "/postgres.dump", dump->get()); !added) return added.error();
  }
  if (auto finished = writer->finish(); !finished) return finished.error();
  session.shown();
  if (!arguments.has("quiet")) {
    session.err() << "Exported " << *app << (database ? " with its database" : "")
                  << ". The layers of its image stay in this cluster's blobstore.\n";
  }
  return 0;
}

struct Import {
  ControllerClient& client;
  ExportedApp archive;
  std::string name;
  std::size_t routes = 0, resources = 0;
  std::string left_out{};  // a line for each route that this cluster can't have

  [[nodiscard]] json::object document(const char* file) const {
    const auto found = archive.documents.find(file);
    if (found == archive.documents.end()) return {};
    const auto parsed = parse_json(file, found->second);
    return parsed ? as_object(*parsed) : json::object();
  }
  [[nodiscard]] json::array list(const char* file) const {
    const auto found = archive.documents.find(file);
    if (found == archive.documents.end()) return {};
    const auto parsed = parse_json(file, found->second);
    return parsed ? as_array(*parsed) : json::array();
  }
  [[nodiscard]] std::string path() const { return "/apps/" + percent_encode(name); }
};

Status create_app(Import& import) {
  json::object app = import.document("app.json");
  for (const char* own : {"id", "release", "created_at", "updated_at"}) app.erase(own);
  app["name"] = import.name;
  const auto created = import.client.post("/apps", app);
  return created ? Status(Done{}) : Status(created.error().context("create the app"));
}

/// A new database in place of the exported one; its variables are put into `release`.
Status provision(Import& import, json::object& release) {
  if (text_of(object_of(release, "env"), "FLYNN_POSTGRES").empty()) return Done{};
  const auto created = import.client.post("/providers/postgres/resources",
                                          json::object{{"apps", json::array{import.name}}, {"config", json::object()}});
  if (!created) return created.error().context("provision the database");
  for (const auto& entry : object_of(as_object(*created), "env")) {
    release["env"].as_object()[entry.key()] = entry.value();
  }
  ++import.resources;
  return Done{};
}

Status create_release(Import& import, json::object release) {
  json::array artifacts;
  for (const json::value& value : import.list("artifacts.json")) {
    json::object artifact = as_object(value);
    for (const char* own : {"id", "created_at"}) artifact.erase(own);
    const auto created = import.client.post("/artifacts", artifact);
    if (!created) return created.error().context("create an artifact");
    artifacts.emplace_back(text_of(as_object(*created), "id"));
  }
  // Services are named after their app.
  const std::string before = text_of(import.document("app.json"), "name") + "-";
  for (auto& process : release["processes"].as_object()) {
    for (const char* own : {"service"}) {
      const std::string service = text_of(as_object(process.value()), own);
      if (service.starts_with(before))
        process.value().as_object()[own] = import.name + "-" + service.substr(before.size());
    }
    if (!process.value().as_object().contains("ports")) continue;
    for (json::value& port : process.value().as_object()["ports"].as_array()) {
      json::object& service =
          port.as_object()["service"].is_object() ? port.as_object()["service"].as_object() : port.as_object();
      const std::string name = text_of(service, "name");
      if (name.starts_with(before)) service["name"] = import.name + "-" + name.substr(before.size());
    }
  }
  for (const char* own : {"id", "created_at", "artifact"}) release.erase(own);
  release["artifacts"] = std::move(artifacts);
  release["app_id"] = import.name;
  const auto created = import.client.post("/releases", release);
  if (!created) return created.error().context("create the release");
  const std::string id = text_of(as_object(*created), "id");
  const auto set = import.client.put(import.path() + "/release", json::object{{"id", id}});
  if (!set) return set.error().context("set the release");
  json::object formation = import.document("formation.json");
  if (formation.empty()) return Done{};
  const auto scaled = import.client.put(import.path() + "/formations/" + percent_encode(id),
                                        json::object{{"processes", object_of(formation, "processes")}});
  return scaled ? Status(Done{}) : Status(scaled.error().context("scale the app"));
}

Status restore(Import& import) {
  if (!import.archive.dump) return Done{};
  auto database = find_database(import.client, import.name);
  if (!database) return database.error();
  const auto code = restore_database(*database, import.archive.dump.get());
  if (!code) return code.error().context("restore the database");
  if (*code != 0) return failure("restore the database: pg_restore ended with exit status " + std::to_string(*code));
  return Done{};
}

Status add_routes(Import& import) {
  const std::string before = text_of(import.document("app.json"), "name") + "-";
  for (const json::value& value : import.list("routes.json")) {
    json::object route = as_object(value);
    for (const char* own : {"id", "parent_ref", "created_at", "updated_at", "maintenance"}) route.erase(own);
    const std::string service = text_of(route, "service");
    if (service.starts_with(before)) route["service"] = import.name + "-" + service.substr(before.size());
    const auto created = import.client.post(import.path() + "/routes", route);
    if (created) ++import.routes;
    if (created || created.error().kind == Failure::kConflict) continue;
    // Ports are the cluster's to give; another one has other ports.
    if (text_of(route, "type") != "tcp" || created.error().code != ErrorCode::kValidation)
      return created.error().context("add a route");
    import.left_out += "Not added: a route from port " + std::to_string(number_of(route, "port")) + " to " +
                       text_of(route, "service") + ": " + created.error().what + "\n";
  }
  return Done{};
}

Status carry_out(Import& import, bool with_routes) {
  json::object release = import.document("release.json");
  if (release.empty()) return failure("the archive has no release.json", "Make one with 'flynn export'.");
  for (const char* member : {"env", "processes"}) {
    if (!release[member].is_object()) release[member] = json::object();
  }
  if (auto created = create_app(import); !created) return created;
  if (auto provisioned = provision(import, release); !provisioned) return provisioned;
  if (auto released = create_release(import, std::move(release)); !released) return released;
  if (auto restored = restore(import); !restored) return restored;
  return with_routes ? add_routes(import) : Status(Done{});
}

Result<int> import_app(Session& session, const Arguments& arguments) {
  UniqueFd file;
  int fd = 0;
  if (const std::string path = arguments.value("file"); !path.empty() && path != "-") {
    file.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return failure("open " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
    fd = file.get();
  }
  auto archive = read_archive(fd);
  if (!archive) return archive.error();
  const auto client = session.controller();
  if (!client) return client.error();
  Import import{**client, std::move(*archive), arguments.value("name")};
  if (import.name.empty()) import.name = text_of(import.document("app.json"), "name");
  if (auto named = check_app_name(import.name); !named) return named.error();
  auto begun =
      session.begin({{"create app " + import.name + " from the archive"}, "flynn -a " + import.name + " delete", ""});
  if (!begun) return begun.error();
  if (auto done = carry_out(import, arguments.has("routes")); !done)
    return done.error().context("import " + import.name);
  session.err() << import.left_out;
  return session.done("Imported " + import.name + " (added " + std::to_string(import.routes) + " routes, provisioned " +
                          std::to_string(import.resources) + " resources)\n",
                      {{"app", import.name}, {"routes", import.routes}, {"resources", import.resources}});
}

}  // namespace

CommandList archive_commands() {
  const Option file{'f', "file", "file", "instead of stdout or stdin"};
  const Option quiet{'q', "quiet", "", "say nothing when it is done"};
  return {
      {"export",
       "",
       "Write an app with its configuration, routes and database to a tar archive",
       {file, quiet},
       0,
       0,
       export_app},
      {"import",
       "",
       "Make an app from an archive of 'flynn export'; the layers of its image must be in the cluster",
       {file, {'n', "name", "name", "another name than the exported one"}, {'r', "routes", "", "add its routes too"}},
       0,
       0,
       import_app},
  };
}

}  // namespace flynn::cli
