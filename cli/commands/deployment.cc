#include <charconv>
#include <ostream>

#include "../clock_text.h"
#include "../documents.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr const char* kBatchSize = "flynn-deploy-batch-size";

Result<json::object> fetch_app(Session& session) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto app = (*client)->get(*path);
  if (!app) return app.error();
  return as_object(*app);
}

Result<int> positive_number(const std::string& text) {
  int number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number <= 0) {
    return usage_error("\"" + text + "\" is not a positive number");
  }
  return number;
}

Result<int> change_app(Session& session, const json::object& body, Change change) {
  if (auto begun = session.begin(std::move(change)); !begun) return begun.error();
  const auto path = session.app_path();
  const auto client = session.controller();
  const auto changed = (*client)->post(*path, body);
  if (!changed) return changed.error();
  return session.done("");
}

Result<int> list(Session& session, const Arguments&) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto deployments = (*client)->get(*path + "/deployments");
  if (!deployments) return deployments.error();
  Table table({"ID", "STATUS", "CREATED", "FINISHED"});
  for (const json::value& value : as_array(*deployments)) {
    const json::object& deployment = as_object(value);
    table.add({text_of(deployment, "id"), text_of(deployment, "status"),
               human_ago(text_of(deployment, "created_at"), wall_now()),
               human_ago(text_of(deployment, "finished_at"), wall_now())});
  }
  session.show(table);
  return 0;
}

Result<int> timeout(Session& session, const Arguments& arguments) {
  const auto app = fetch_app(session);
  if (!app) return app.error();
  const std::int64_t before = number_of(*app, "deploy_timeout");
  if (arguments.values.empty()) {
    if (session.json()) session.show(json::object{{"timeout_s", before}});
    session.out() << before << '\n';
    return 0;
  }
  const auto seconds = positive_number(arguments.at(0));
  if (!seconds) return seconds.error();
  return change_app(
      session, {{"id", text_of(*app, "id")}, {"meta", nullptr}, {"deploy_timeout", *seconds}},
      {{"set the time of a deployment to " + std::to_string(*seconds) + " s (now " + std::to_string(before) + ")"},
       "flynn -a " + *session.app() + " deployment timeout " + std::to_string(before),
       ""});
}

Result<int> batch_size(Session& session, const Arguments& arguments) {
  auto app = fetch_app(session);
  if (!app) return app.error();
  json::object meta = object_of(*app, "meta");
  if (arguments.values.empty()) {
    const std::string size = text_of(meta, kBatchSize);
    if (session.json()) session.show(json::object{{"batch_size", size}});
    session.out() << (size.empty() ? "not set" : size) << '\n';
    return 0;
  }
  const auto size = positive_number(arguments.at(0));
  if (!size) return size.error();
  // The controller replaces the whole map: send the others along.
  const std::string before = text_of(meta, kBatchSize);
  const std::string prefix = "flynn -a " + *session.app();
  meta[kBatchSize] = std::to_string(*size);
  return change_app(
      session, {{"id", text_of(*app, "id")}, {"meta", meta}},
      {{"replace " + std::to_string(*size) + " jobs at once (now " + (before.empty() ? "not set" : before) + ")"},
       before.empty() ? prefix + " meta unset " + kBatchSize : prefix + " deployment batch-size " + before,
       ""});
}

}  // namespace

CommandList deployment_commands() {
  return {
      {"deployment", "", "List the deployments of an app", {}, 0, 0, list},
      {"deployment timeout", "[<seconds>]", "Show or set how long a deployment may take", {}, 0, 1, timeout},
      {"deployment batch-size",
       "[<n>]",
       "Show or set how many jobs the strategy in-batches replaces at once",
       {},
       0,
       1,
       batch_size},
  };
}

}  // namespace flynn::cli
