/// GET /backup: the newest record as JSON, else a new backup as a tar that is written while it is read.
#include "context.h"

namespace flynn::controller {
namespace {

Outcome<BackupLayers> layers_of(const HttpRequest& request) {
  const std::string* wanted = request.query_value("layers");
  if (wanted == nullptr || wanted->empty() || *wanted == "apps") return BackupLayers::apps;
  if (*wanted == "true" || *wanted == "all") return BackupLayers::all;
  if (*wanted == "false" || *wanted == "none") return BackupLayers::none;
  return validation("layers", "must be true (all), apps (all but those of the stacks) or false (none)");
}

Outcome<HttpResponse> get_backup(Context& context, const HttpRequest& request, const Params&) {
  if (!request.streams || request.accept.find("application/json") != std::string::npos) {
    auto record = context.backups.newest();
    if (!record) return record.error();
    if (!*record) return not_found("backup");
    return json_answer(**record);
  }
  auto layers = layers_of(request);
  if (!layers) return layers.error();
  auto source = context.backups.begin(*layers);
  if (!source) return source.error();
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  // Without a length: the archive's last member says whether it is whole.
  response.stream->head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/tar\r\nContent-Disposition: attachment; filename=\"flynn-backup-" +
      now_text().substr(0, 10) + ".tar\"\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
  response.stream->source = std::move(*source);
  return response;
}

}  // namespace

void add_backup_routes(RouterTable& table) { table.add("GET", "/backup", get_backup); }

}  // namespace flynn::controller
