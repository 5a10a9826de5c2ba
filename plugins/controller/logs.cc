/// GET /apps/:a/log: what flynn.logs/1 keeps, as the wire shows it.
#include <charconv>

#include "context.h"
#include "log_lines.h"
#include "system_apps.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kLinesMax = 10'000;

Outcome<json::object> read_request(const HttpRequest& request, const std::string& app_id) {
  bool follow = request.query_flag("follow");
  std::int64_t lines = follow ? 0 : -1;
  if (const std::string* text = request.query_value("lines"); text != nullptr && !text->empty()) {
    auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), lines);
    bool whole = problem == std::errc() && end == text->data() + text->size();
    if (!whole || lines < 0 || lines > kLinesMax) return validation("lines", "must be an integer between 0 and 10000");
  }
  json::object read{{"app_id", app_id}, {"follow", follow}, {"lines", lines}};
  if (const std::string* job = request.query_value("job_id"); job != nullptr && !job->empty())
    read["job_id"] = job_uuid(*job);
  if (const std::string* type = request.query_value("process_type")) read["process_type"] = *type;
  if (const std::string* types = request.query_value("stream_types"); types != nullptr && !types->empty()) {
    json::array list;
    for (const std::string& type : split_list(*types)) list.push_back(json::value(type));
    read["stream_types"] = std::move(list);
  }
  return read;
}

Outcome<HttpResponse> get_log(Context& context, const HttpRequest& request, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto read = read_request(request, text_of(app->value, "id"));
  if (!read) return read.error();
  if (!plugin_slot(app->value).empty()) {
    if (flag_of(*read, "follow")) return validation("follow", "is not possible for a plugin; the host's own log is");
    return log_of_plugin(context, app->value, number_of(*read, "lines", -1));
  }
  if (!request.streams) return ApiError{501, "unimplemented", "logs are streams: they need HTTP", nullptr, false};
  auto reply = context.door.call("flynn.logs/1", "Read", *read);
  if (!reply) return unknown_error("read the log: " + reply.error().message, reply.error().code == Code::unavailable);
  if (reply->fds.empty()) return unknown_error("read the log: no stream in the answer");

  bool events = request.accept.find("text/event-stream") != std::string::npos;
  auto lines =
      std::make_shared<LogLines>(events ? LogFormat::events : LogFormat::lines);  // shared by the two functions below
  HttpResponse response;
  response.stream = std::make_unique<StreamStart>();
  response.stream->head = stream_head(events ? "text/event-stream; charset=utf-8" : "text/plain");
  response.stream->source = std::move(reply->fds.front());
  response.stream->keep_alive = events;
  response.stream->transform = [lines](std::string_view chunk, std::string& out) { lines->feed(chunk, out); };
  response.stream->at_end = [lines](std::string& out) { lines->finish(out); };
  return response;
}

}  // namespace

void add_log_routes(RouterTable& table) { table.add("GET", "/apps/:a/log", get_log); }

}  // namespace flynn::controller
