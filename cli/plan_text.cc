#include "plan_text.h"

#include <cmath>
#include <ostream>

#include "clock_text.h"

namespace flynn::cli {
namespace {

std::string span(const json::object& object, std::string_view member) {
  const json::value* value = object.if_contains(member);
  const double ms = value != nullptr && value->is_number() ? value->to_number<double>() : 0.0;
  return short_duration(std::chrono::milliseconds(std::llround(ms)));
}

std::string side(const json::object& version) {
  const std::string digest = text_of(version, "digest").substr(0, 12);
  return text_of(version, "version") + (digest.empty() ? "" : " (" + digest + ")");
}

std::string joined(const json::array& words) {
  std::string text;
  for (const json::value& word : words)
    if (word.is_string()) text += (text.empty() ? "" : ", ") + std::string(word.get_string());
  return text;
}

std::string percent(std::int64_t permille) {
  return std::to_string(permille / 10) + (permille % 10 == 0 ? "" : "." + std::to_string(permille % 10)) + "%";
}

/// A line "  label: text", left out when there is nothing to say.
void line(std::ostream& out, std::string_view label, const std::string& text) {
  if (!text.empty()) out << "  " << label << ": " << text << '\n';
}

std::string minor_change(const json::object& provided) {
  const std::string from = text_of(provided, "from"), to = text_of(provided, "to");
  std::string text = text_of(provided, "interface") + " ";
  if (from == to)
    text += from;
  else
    text += (from.empty() ? "none" : from) + " => " + (to.empty() ? "none" : to);
  const std::string users = joined(array_of(provided, "required_by"));
  return text + (users.empty() ? "" : " (required by " + users + ")");
}

std::string requirement(const json::object& required) {
  std::string text = text_of(required, "interface");
  if (const std::string by = text_of(required, "by"); !by.empty())
    text += " from " + by + ", which provides " + text_of(required, "provided");
  if (!flag_of(required, "satisfied")) text += flag_of(required, "optional") ? ": not there, optional" : ": MISSING";
  return text;
}

/// "+ added, - removed, ~ changed"
std::string differences(const json::object& changes) {
  std::string text;
  const auto add = [&](std::string_view sign, std::string_view name) {
    text += (text.empty() ? "" : ", ") + std::string(sign) + std::string(name);
  };
  for (const json::value& name : array_of(changes, "added"))
    if (name.is_string()) add("+", name.get_string());
  for (const json::value& name : array_of(changes, "removed"))
    if (name.is_string()) add("-", name.get_string());
  for (const json::value& change : array_of(changes, "changed")) add("~", text_of(as_object(change), "property"));
  return text;
}

std::string drain_text(const json::object& drain) {
  std::string text = std::to_string(number_of(drain, "calls_inside")) + " calls inside";
  const json::object& figures = object_of(drain, "figures");
  if (figures.contains("connections")) {
    text += ", " + std::to_string(number_of(figures, "connections")) + " connections";
    text += flag_of(drain, "connections_move") ? " (those that can, move)" : "";
  }
  return text + ", at most " + span(drain, "deadline_ms");
}

}  // namespace

void print_plan(std::ostream& out, const json::object& plan) {
  const json::object &from = object_of(plan, "from"), &to = object_of(plan, "to");
  out << text_of(plan, "slot") << ": " << (from.empty() ? "not running" : side(from)) << " => "
      << (to.empty() ? text_of(plan, "path") : side(to)) << '\n';
  for (const json::value& provided : array_of(plan, "provides"))
    line(out, "provides", minor_change(as_object(provided)));
  for (const json::value& required : array_of(plan, "requires"))
    line(out, "requires", requirement(as_object(required)));
  const std::string mode = text_of(object_of(plan, "swap"), "mode");
  line(out, "swap", mode == "start" ? "none: it is started, for nothing runs" : mode);
  const json::object& config = object_of(plan, "config");
  line(out, "configuration schema", differences(config));
  if (config.contains("valid"))
    line(out, "present configuration", flag_of(config, "valid") ? "valid" : "NOT VALID: " + text_of(config, "problem"));
  line(out, "capabilities", differences(object_of(plan, "capabilities")));
  line(out, "listeners that the node does not lend", joined(array_of(object_of(plan, "listeners"), "missing")));
  const json::object& signature = object_of(plan, "signature");
  const std::string key = text_of(signature, "key_name");
  if (!signature.empty())
    line(
        out, "signature",
        text_of(signature, "state") + (key.empty() ? "" : ", key " + key) + ", policy " + text_of(signature, "policy"));
  if (const json::object& drain = object_of(plan, "drain"); !drain.empty()) line(out, "to drain", drain_text(drain));
  if (const json::object& canary = object_of(plan, "canary"); !canary.empty())
    line(out, "canary",
         percent(number_of(canary, "share_permille")) + " of calls and connections for " + span(canary, "for_ms"));
  line(out, "probation", span(plan, "probation_ms"));
  if (const json::object& expected = object_of(plan, "expected"); !expected.empty())
    line(out, "expected to take",
         span(expected, "ms") + " (median of " + std::to_string(number_of(expected, "swaps")) + " swaps of this " +
             text_of(expected, "of") + ")");
  else if (plan.contains("expected") && !to.empty())
    line(out, "expected to take", "unknown, this node has made no swap yet");
  if (const json::object& running = object_of(plan, "running_change"); !running.empty())
    line(out, "now running",
         text_of(running, "action") + " by " + text_of(running, "who") + ", in phase " + text_of(running, "phase"));
  const std::string verdict = text_of(plan, "verdict");
  out << (verdict == "no_change" ? "no change"
          : verdict == "changes" ? "would be swapped"
                                 : "would be refused")
      << '\n';
}

std::string state_text(const json::object& plugin) {
  const json::object& change = object_of(plugin, "change");
  if (change.empty()) return text_of(plugin, "state");
  return std::string(text_of(change, "action") == "swap" ? "swapping" : "changing") + ": " + text_of(change, "phase") +
         " (" + span(change, "phase_ms") + ")";
}

}  // namespace flynn::cli
