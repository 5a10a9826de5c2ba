#include <charconv>
#include <cstdlib>
#include <ostream>
#include <sstream>

#include "../clock_text.h"
#include "../deploy.h"
#include "../documents.h"
#include "../events.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

// Flynn's default scale timeout.
constexpr std::chrono::seconds kScaleTimeout{30};

struct ScaleWish {
  json::object processes;
  json::object tags;
};

/// "web=2,disk=ssd"
Status read_wish(const std::string& text, ScaleWish& wish) {
  const std::string first = text.substr(0, text.find(','));
  const auto pair = split_assignment(first);
  if (!pair) return pair.error().context("expected TYPE=N");
  int count = -1;
  const std::string& number = pair->second;
  const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), count);
  if (code != std::errc() || end != number.data() + number.size() || count < 0) {
    return usage_error("\"" + text + "\": \"" + number + "\" is not a number of processes");
  }
  wish.processes[pair->first] = count;
  json::object tags;
  for (std::size_t at = first.size(); at < text.size();) {
    const auto comma = text.find(',', at + 1);
    const auto tag = split_assignment(text.substr(at + 1, comma == std::string::npos ? comma : comma - at - 1));
    if (!tag) return tag.error().context("tags of " + pair->first);
    tags[tag->first] = tag->second;
    at = comma == std::string::npos ? text.size() : comma;
  }
  if (!tags.empty()) wish.tags[pair->first] = tags;
  return Done{};
}

/// "web=1 worker=0", with every type of the release; empty for a release without types.
Result<std::string> formation_line(ControllerClient& client, const std::string& path, const json::object& release) {
  const auto formation = client.get(path + "/formations/" + percent_encode(text_of(release, "id")));
  if (!formation && formation.error().kind != Failure::kNotFound) return formation.error();
  const json::object counts = formation ? object_of(as_object(*formation), "processes") : json::object();
  std::string line;
  for (const auto& type : object_of(release, "processes")) {
    const std::string name(type.key());
    line += (line.empty() ? "" : " ") + name + "=" + std::to_string(number_of(counts, name));
  }
  return line;
}

Result<int> show_all(Session& session, ControllerClient& client, const std::string& path, const std::string& current) {
  const auto releases = client.get(path + "/releases");
  if (!releases) return releases.error();
  bool first = true;
  for (const json::value& value : as_array(*releases)) {
    const json::object& release = as_object(value);
    const auto line = formation_line(client, path, release);
    if (!line) return line.error();
    const std::string id = text_of(release, "id");
    session.out() << (first ? "" : "\n") << id << (id == current ? " (current)" : "") << '\n' << *line << '\n';
    first = false;
  }
  return 0;
}

bool print_changes(std::ostream& out, const json::object& request) {
  std::string text;
  const json::object& before = object_of(request, "old_processes");
  for (const auto& type : object_of(request, "new_processes")) {
    const std::string name(type.key());
    const auto from = number_of(before, name);
    const auto to = number_of(object_of(request, "new_processes"), name);
    if (from == to) continue;
    text += (text.empty() ? "" : ", ") + name + ": " + std::to_string(from) + "=>" + std::to_string(to);
  }
  if (text.empty()) return false;
  out << "scaling " << text << "\n\n" << std::flush;
  return true;
}

void print_job(std::ostream& out, const json::object& job) {
  const std::string id = text_of(job, "id");
  out << clock_text(wall_now()) << " ==> " << text_of(job, "type") << ' ' << (id.empty() ? text_of(job, "uuid") : id)
      << ' ' << text_of(job, "state");
  const std::string error = text_of(job, "host_error");
  if (!error.empty()) out << ": " << error;
  out << '\n' << std::flush;
}

Status wait_for_scale(Session& session, EventStream& events, const json::object& request) {
  const std::string id = text_of(request, "id");
  const Deadline deadline = deadline_after(kScaleTimeout);
  std::string job_error;
  for (;;) {
    const auto event = events.next(deadline);
    if (!event) {
      if (event.error().kind != Failure::kTimeout) return event.error();
      return Error{"scale: not complete after " + std::to_string(kScaleTimeout.count()) + " s" + job_error,
                   "The platform goes on trying. 'flynn ps -a' shows the jobs, 'flynn log' what they print.",
                   Failure::kTimeout}
          .as(ErrorCode::kTimeout);
    }
    const json::object& data = object_of(*event, "data");
    const std::string type = text_of(*event, "object_type");
    if (type == "job" && text_of(data, "release") == text_of(request, "release")) {
      print_job(session.out(), data);
      if (const std::string error = text_of(data, "host_error"); !error.empty()) job_error = ": " + error;
    }
    if (type != "scale_request" || text_of(data, "id") != id) continue;
    const std::string state = text_of(data, "state");
    if (state == "complete") return Done{};
    if (state == "cancelled") return failure("scale: cancelled by a later request");
  }
}

Change change_of(const std::string& app, const std::string& release, const json::object& counts, const ScaleWish& wish,
                 bool names_release) {
  Change change{{}, "", "nothing changed"};
  std::string back;
  for (const auto& type : wish.processes) {
    const std::string name(type.key());
    const std::string from = std::to_string(number_of(counts, name));
    const std::string to = std::to_string(number_of(wish.processes, name));
    if (from == to && !wish.tags.contains(name)) continue;
    change.steps.push_back("scale " + name + " of " + app + " from " + from + " to " + to);
    back += " " + shell_quoted(name + "=" + from);
  }
  if (!back.empty()) change.undo = "flynn -a " + app + " scale" + (names_release ? " -r " + release : "") + back;
  return change;
}

Result<int> change(Session& session, ControllerClient& client, const std::string& app, const std::string& release,
                   const Arguments& arguments) {
  ScaleWish wish;
  for (const std::string& text : arguments.values) {
    if (auto read = read_wish(text, wish); !read) return read.error();
  }
  const auto before = client.get("/apps/" + percent_encode(app) + "/formations/" + percent_encode(release));
  if (!before && before.error().kind != Failure::kNotFound) return before.error();
  const json::object counts = before ? object_of(as_object(*before), "processes") : json::object();
  if (auto begun = session.begin(change_of(app, release, counts, wish, arguments.has("release"))); !begun)
    return begun.error();
  auto events = EventStream::open(client, "app_id=" + percent_encode(app) + "&object_types=scale_request,job");
  if (!events) return events.error();
  const auto started = std::chrono::steady_clock::now();
  const json::object body{{"app", app},
                          {"release", release},
                          {"state", "pending"},
                          {"new_processes", wish.processes},
                          {"new_tags", wish.tags}};
  const auto answer = client.put("/apps/" + percent_encode(app) + "/scale/" + percent_encode(release), body);
  if (!answer) return answer.error();
  const json::object& request = as_object(*answer);
  if (!print_changes(session.out(), request) && wish.tags.empty()) {
    return session.done(session.out(), "requested scale equals current scale, nothing to do!\n");
  }
  if (arguments.has("no-wait")) return session.done("");
  if (auto done = wait_for_scale(session, *events, request); !done)
    return done.error().saying(last_words(client, app, release));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  return session.done(session.out(), "\nscale completed in " + short_duration(took) + "\n");
}

/// {"web": 1} from "web=1".
json::object counts_of(const std::string& line) {
  json::object counts;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const auto equals = word.rfind('=');
    counts[word.substr(0, equals)] = std::atoll(word.c_str() + equals + 1);
  }
  return counts;
}

Result<int> scale(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string path = "/apps/" + percent_encode(*app);
  auto release = require_release(**client, *app);
  if (!release) return release.error();
  const std::string current = text_of(*release, "id");
  if (arguments.has("all")) return show_all(session, **client, path, current);
  if (arguments.has("release")) {
    const auto named = (*client)->get("/releases/" + percent_encode(arguments.value("release")));
    if (!named) return named.error();
    *release = as_object(*named);
  }
  if (!arguments.values.empty()) return change(session, **client, *app, text_of(*release, "id"), arguments);
  const auto line = formation_line(**client, path, *release);
  if (!line) return line.error();
  if (session.json()) return session.show(counts_of(*line)), 0;
  session.out() << *line << '\n';
  return 0;
}

}  // namespace

CommandList scale_commands() {
  return {
      {"scale",
       "[<type>=<n>[,<tag>=<value>...]]...",
       "Show or change how many jobs of each type run",
       {{'n', "no-wait", "", "do not wait for the jobs"},
        {'r', "release", "id", "of this release (default: the current one)"},
        {'a', "all", "", "show every release"}},
       0,
       kAny,
       scale},
  };
}

}  // namespace flynn::cli
