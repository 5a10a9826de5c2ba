/// GET /apps/:a/explain: why jobs of the app run or don't, in the scheduler's words.
#include "context.h"

namespace flynn::controller {
namespace {

Outcome<HttpResponse> explain(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto reply = context.door.call("flynn.scheduler/1", "Explain", {{"app_id", text_of(app->value, "id")}});
  if (!reply) return unknown_error("explain: " + reply.error().message, reply.error().code == Code::unavailable);
  return json_answer(json::object{{"lines", array_of(reply->body, "lines")}});
}

}  // namespace

void add_explain_routes(RouterTable& table) { table.add("GET", "/apps/:a/explain", explain); }

}  // namespace flynn::controller
