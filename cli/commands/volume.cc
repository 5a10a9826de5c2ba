#include <ostream>

#include "../clock_text.h"
#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<int> list(Session& session, const Arguments&) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto volumes = (*client)->get(*path + "/volumes");
  if (!volumes) return app_not_found(*session.app(), volumes.error());
  Table table({"ID", "HOST", "STATE", "ATTACHED JOB", "CREATED", "DECOMMISSIONED"});
  for (const json::value& value : as_array(*volumes)) {
    const json::object& volume = as_object(value);
    table.add({text_of(volume, "id"), text_of(volume, "host_id"), text_of(volume, "state"), text_of(volume, "job"),
               human_ago(text_of(volume, "created_at"), wall_now()),
               text_of(volume, "decommissioned_at").empty() ? "false" : "true"});
  }
  session.show(table);
  return 0;
}

Result<json::object> find(Session& session, const std::string& id) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto volume = (*client)->get(*path + "/volumes/" + percent_encode(id));
  if (!volume) return volume.error().context("volume " + id).advise("'flynn volume' lists them.");
  return as_object(*volume);
}

Result<int> show(Session& session, const Arguments& arguments) {
  const auto volume = find(session, arguments.at(0));
  if (!volume) return volume.error();
  if (session.json()) return session.show(*volume), 0;
  Table table({"ID:", text_of(*volume, "id")});
  for (const auto& [label, member] :
       {std::pair{"Host:", "host_id"}, std::pair{"State:", "state"}, std::pair{"App:", "app"},
        std::pair{"Attached Job:", "job"}, std::pair{"Path:", "path"}, std::pair{"Created At:", "created_at"}})
    table.add({label, text_of(*volume, member)});
  session.show(table);
  return 0;
}

Result<int> decommission(Session& session, const Arguments& arguments) {
  const std::string id = arguments.at(0);
  const auto volume = find(session, id);
  if (!volume) return volume.error();
  auto begun = session.begin({{"destroy volume " + id + " with its data"}, "", "the data is gone"});
  if (!begun) return begun.error();
  if (!arguments.has("yes") && !session.confirm("Are you sure you want to destroy volume \"" + id + "\"?")) {
    return failure("Nothing was destroyed.").as(ErrorCode::kDeclined);
  }
  const auto client = session.controller();
  const auto done = (*client)->put(*session.app_path() + "/volumes/" + percent_encode(id) + "/decommission", *volume);
  if (!done) return done.error();
  return session.done(session.out(), "Volume " + id + " decommissioned.\n", {{"volume", id}});
}

}  // namespace

CommandList volume_commands() {
  return {
      {"volume", "", "List the volumes of an app", {}, 0, 0, list},
      {"volume show", "<id>", "Show a volume", {}, 1, 1, show},
      {"volume decommission",
       "<id>",
       "Destroy a volume that no job uses, with its data",
       {{'y', "yes", "", "do not ask"}},
       1,
       1,
       decommission},
  };
}

}  // namespace flynn::cli
