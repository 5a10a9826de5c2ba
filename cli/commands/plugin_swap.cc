#include "plugin_swap.h"

#include <cmath>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "../clock_text.h"
#include "../documents.h"
#include "../error_report.h"
#include "../last_words.h"
#include "../plan_text.h"
#include "../terminal.h"

namespace flynn::cli {
namespace {

constexpr int kNoChange = 0, kChanges = 1, kRefused = 255;

std::string short_digest(const json::object& document) { return text_of(document, "digest").substr(0, 12); }

/// Milliseconds with one decimal.
std::string ms_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  std::ostringstream text;
  text << std::fixed << std::setprecision(1)
       << (value != nullptr && value->is_number() ? value->to_number<double>() : 0.0);
  return text.str();
}

std::string span_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  const double ms = value != nullptr && value->is_number() ? value->to_number<double>() : 0.0;
  return short_duration(std::chrono::milliseconds(std::llround(ms)));
}

void print_swap(std::ostream& out, const json::object& swap) {
  const auto side = [](const json::object& version) {
    if (version.empty()) return std::string("not running");
    return text_of(version, "version") + " (" + short_digest(version) + ", generation " +
           std::to_string(number_of(version, "generation")) + ")";
  };
  out << text_of(swap, "slot") << ": " << side(object_of(swap, "from")) << " => " << side(object_of(swap, "to"))
      << '\n';
  for (const json::value& value : array_of(swap, "phases")) {
    const json::object& phase = as_object(value);
    out << "  " << text_of(phase, "phase") << "  " << ms_of(phase, "ms") << " ms\n";
  }
  if (const auto moved = number_of(swap, "connections_moved"), lost = number_of(swap, "connections_lost");
      moved + lost > 0)
    out << "  " << moved << " connections moved, " << lost << " lost\n";
  out << "swap completed in " << ms_of(swap, "total_ms") << " ms, pause " << ms_of(swap, "pause_ms")
      << " ms, old image "
      << (flag_of(swap, "unmapped")
              ? "unmapped"
              : "still mapped ('flynn plugin list' shows zombies): " + text_of(swap, "left_mapped_because"))
      << '\n';
}

Status add_span(const Arguments& arguments, const char* option, const char* member, json::object& params) {
  if (!arguments.has(option)) return Done{};
  const auto span = parse_duration(arguments.value(option));
  if (!span)
    return usage_error("--" + std::string(option) + " \"" + arguments.value(option) +
                       "\": expected a time like 60s, 500ms or 2m");
  params[member] = span->count();
  return Done{};
}

// "5%", "0.5%" or "5".
Status add_canary(const Arguments& arguments, json::object& params) {
  if (!arguments.has("canary")) {
    if (arguments.has("canary-for")) return usage_error("--canary-for needs --canary PERCENT");
    return Done{};
  }
  const std::string text = arguments.value("canary");
  std::istringstream stream(text);
  double percent = 0;
  std::string rest;
  stream >> percent;
  std::getline(stream, rest);
  const auto permille = std::llround(percent * 10);
  if (text.empty() || (!rest.empty() && rest != "%") || permille < 1 || permille > 999)
    return usage_error("--canary \"" + text + "\": expected a share from 0.1% to 99.9%");
  params["canary_permille"] = permille;
  return add_span(arguments, "canary-for", "canary_for_ms", params);
}

Result<json::object> params_of(const Arguments& arguments) {
  const auto path = absolute_path(arguments.at(1));
  if (!path) return path.error();
  json::object params{{"slot", arguments.at(0)}, {"path", *path}};
  if (arguments.has("drain")) {
    // Milliseconds without a unit, as ever.
    const std::string text = arguments.value("drain");
    const bool plain = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    const auto span = parse_duration(plain ? text + "ms" : text);
    if (!span) return usage_error("--drain \"" + text + "\": expected milliseconds, or a time like 30s");
    params["drain_ms"] = span->count();
  }
  if (auto added = add_span(arguments, "probation", "probation_ms", params); !added) return added.error();
  if (auto added = add_canary(arguments, params); !added) return added.error();
  if (auto added = add_lock_wait(arguments, params); !added) return added.error();
  return params;
}

int report(Session& session, const Error& error) {
  if (session.json()) {
    json::object document = error_document(error);
    document["error"].as_object()["exit_code"] = kRefused;
    session.raw_err() << json::serialize(document) << '\n';
    session.shown();
  } else {
    print_error(session.err(), error);
  }
  return kRefused;
}

// 255 also when there is no plan: a script must not take that for "changes".
int plan(Session& session, const json::object& params) {
  const auto answer = admin_request(admin_socket_path(), "plugin.plan", params);
  if (!answer) return report(session, answer.error());
  const json::object& document = as_object(*answer);
  if (session.json())
    session.show(document);
  else
    print_plan(session.out(), document);
  const std::string verdict = text_of(document, "verdict");
  if (verdict == "no_change") return kNoChange;
  if (verdict == "changes") return kChanges;
  if (!session.json())
    for (const json::value& reason : array_of(document, "reasons"))
      session.err() << "refused: " << (reason.is_string() ? std::string_view(reason.get_string()) : "") << '\n';
  return kRefused;
}

}  // namespace

const std::vector<Option>& swap_options() {
  static const std::vector<Option> options{
      {0, "plan", "", "show what would happen and do nothing; exit 0: no change, 1: changes, 255: refused"},
      {'d', "drain", "ms", "how long the old one may finish what it has in flight"},
      {0, "canary", "percent", "first give the new one this share of calls and connections, as 5%"},
      {0, "canary-for", "time", "how long, as 60s"},
      {0, "probation", "time", "how long the old one waits to come back if the new one is worse, as 60s"},
      kLockWait};
  return options;
}

Result<std::string> absolute_path(const std::string& path) {
  std::error_code failure;
  const auto absolute = std::filesystem::absolute(path, failure);
  if (path.empty() || failure)
    return usage_error("\"" + path + "\" is no path of a file" + (failure ? ": " + failure.message() : ""));
  return absolute.lexically_normal().string();
}

Progress progress_to(Session& session) {
  if (!is_terminal(2)) return {};
  return [&session](const json::object& line) {
    session.err() << "  " << text_of(line, "phase") << "  " << ms_of(line, "elapsed_ms") << " ms\n" << std::flush;
  };
}

Status add_lock_wait(const Arguments& arguments, json::object& params) {
  return add_span(arguments, "lock-wait", "lock_wait_ms", params);
}

Error with_record(const Error& error, const std::string& slot, const std::string& serves) {
  switch (error.code) {
    case ErrorCode::kHostUnreachable:
      // Where nothing answered, nothing was begun. A host that died meanwhile boots what was in force before.
      if (error.what.starts_with("connect")) return error;
      return error.advise(
          "A host that ended meanwhile comes back with the version before, or, where the new one was in force already, "
          "with that: 'flynn plugin list' says.");
    case ErrorCode::kNotFound:
      return error.advise(
          "'flynn plugin list' shows the slots; a file must be there for flynn-host. Nothing was changed.");
    case ErrorCode::kConflict:
      return error.advise("Nothing was begun. 'flynn plugin watch " + slot + "' shows the change that runs.");
    default:
      return error.advise(serves + " 'flynn plugin history' has the record.");
  }
}

std::string words_when_left(const std::string& slot) {
  return "flynn-host goes on with what it has begun: 'flynn plugin watch " + slot +
         "' shows it. What only waited for another change is not begun.";
}

namespace {

// How to undo what has been done, now that it is known what that was.
Change change_of(const std::string& slot, const json::object& swap) {
  const json::object &from = object_of(swap, "from"), &to = object_of(swap, "to");
  Change change{{"swap " + slot}, "flynn plugin rollback " + slot, ""};
  if (from.empty())
    change.undo.clear(), change.permanent = "nothing ran in " + slot + " before";
  else if (text_of(from, "digest") == text_of(to, "digest") && !text_of(to, "digest").empty())
    change.undo.clear(), change.permanent = "it is the version that ran before";
  return change;
}

}  // namespace

Result<int> swap_plugin(Session& session, const Arguments& arguments) {
  const auto params = params_of(arguments);
  const bool planned = session.plan() || arguments.has("plan");
  if (!params) {
    if (planned) return report(session, params.error());
    return params.error();
  }
  if (planned) return plan(session, *params);
  const std::string slot = arguments.at(0);
  if (auto begun = session.begin({{"swap " + slot}, "flynn plugin rollback " + slot, ""}); !begun) return begun.error();
  const LastWords words(words_when_left(slot));
  const auto answer = admin_request(admin_socket_path(), "plugin.swap", *params, progress_to(session));
  if (!answer) return with_record(answer.error(), slot, "The old version serves on.");
  if (session.json()) {
    session.show(*answer);
    return 0;
  }
  print_swap(session.out(), as_object(*answer));
  (void)session.begin(change_of(slot, as_object(*answer)));
  return session.done("");
}

Result<int> roll_back_plugin(Session& session, const Arguments& arguments) {
  json::object params{{"slot", arguments.at(0)}};
  if (auto added = add_lock_wait(arguments, params); !added) return added.error();
  const std::string slot = arguments.at(0);
  const Change change{{"return " + slot + " to the version before"}, "flynn plugin rollback " + slot, ""};
  if (auto begun = session.begin(change); !begun) return begun.error();
  const LastWords words(words_when_left(slot));
  const auto answer = admin_request(admin_socket_path(), "plugin.rollback", params, progress_to(session));
  if (!answer) return with_record(answer.error(), slot, "The present version serves on.");
  if (session.json()) return session.show(*answer), 0;
  print_swap(session.out(), as_object(*answer));
  if (flag_of(as_object(*answer), "taken_back"))
    (void)session.begin({{"take back what was under way in " + slot}, "", "it was never in force; swap it in again"});
  return session.done("");
}

Result<int> watch_plugins(Session& session, const Arguments& arguments) {
  const bool as_json = session.json();
  const Progress show = [&](const json::object& line) {
    if (as_json) {
      session.raw_out() << json::serialize(line) << '\n' << std::flush;
      return;
    }
    session.out() << text_of(line, "slot") << "  " << text_of(line, "action") << ' ' << number_of(line, "change")
                  << " by " << text_of(line, "who") << "  ";
    if (const std::string outcome = text_of(line, "outcome"); !outcome.empty())
      session.out() << outcome << " after " << span_of(line, "elapsed_ms");
    else
      session.out() << text_of(line, "phase") << "  " << span_of(line, "phase_ms")
                    << (line.contains("deadline_ms") ? " of " + span_of(line, "deadline_ms") : "");
    session.out() << '\n' << std::flush;
  };
  const auto params = arguments.values.empty() ? json::object() : json::object{{"slot", arguments.at(0)}};
  // Where nothing is being changed nothing would be shown, which looks like a hang.
  session.err() << "watching " << (arguments.values.empty() ? "every slot" : arguments.at(0)) << "; Ctrl-C ends it\n"
                << std::flush;
  const auto answer = admin_request(admin_socket_path(), "plugin.watch", params, show);
  if (!answer) return answer.error();
  if (as_json) session.shown();
  session.err() << text_of(as_object(*answer), "ended") << '\n';
  return 0;
}

}  // namespace flynn::cli
