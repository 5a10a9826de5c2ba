// The scenarios of a contract's suite.
#include <map>

#include "contract.h"
#include "flynn/sdk/stream.h"
#include "stream_text.h"

namespace flynn::authoring {
namespace {

constexpr int kStepMs = 10'000;

using Saved = std::map<std::string, json::value>;

json::value filled_in(const json::value& value, const Saved& saved) {
  if (const auto* text = value.if_string(); text != nullptr && text->starts_with('$'))
    if (const auto found = saved.find(std::string(*text).substr(1)); found != saved.end()) return found->second;
  if (const auto* object = value.if_object()) {
    json::object out;
    for (const auto& [key, member] : *object) out[key] = filled_in(member, saved);
    return out;
  }
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(filled_in(item, saved));
    return out;
  }
  return value;
}

// Empty when `got` has all that `wanted` names.
std::string difference(const json::value& wanted, const json::value& got, const std::string& place) {
  if (const auto* text = wanted.if_string(); text != nullptr && *text == "*") return {};
  if (const auto* object = wanted.if_object()) {
    if (!got.is_object()) return place + " is " + json::serialize(got) + ", not an object";
    for (const auto& [key, member] : *object) {
      const auto* found = got.get_object().if_contains(key);
      const auto name = place + "." + std::string(key);
      if (found == nullptr && !member.is_null()) return name + " is missing in " + json::serialize(got);
      if (auto other = difference(member, found == nullptr ? json::value() : *found, name); !other.empty())
        return other;
    }
    return {};
  }
  if (const auto* array = wanted.if_array()) {
    if (!got.is_array() || got.get_array().size() != array->size())
      return place + " is " + json::serialize(got) + ", not " + json::serialize(wanted);
    for (std::size_t i = 0; i < array->size(); ++i)
      if (auto other = difference(array->at(i), got.get_array().at(i), place + "[" + std::to_string(i) + "]");
          !other.empty())
        return other;
    return {};
  }
  const bool numbers = wanted.is_number() && got.is_number();
  const bool same = numbers ? wanted.to_number<double>() == got.to_number<double>() : wanted == got;
  return same ? std::string() : place + " is " + json::serialize(got) + ", not " + json::serialize(wanted);
}

std::string lines_differ(LineReader& reader, const json::array& wanted, const Saved& saved) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto place = "line " + std::to_string(i + 1);
    auto status = reader.next(Deadline::after(std::chrono::milliseconds(kStepMs)));
    if (!status || *status != LineReader::Status::line) return place + " of the stream did not come";
    auto line = parse_json(reader.text());
    if (!line) return place + " is no JSON: " + std::string(reader.text());
    if (auto other = difference(filled_in(wanted.at(i), saved), *line, place); !other.empty()) return other;
  }
  return {};
}

// One run of a scenario: what was saved, and the streams that are open.
class Run {
 public:
  Run(TrialNode& trial, const Contract& contract) : trial_(trial), contract_(contract) {}

  Verdict step(const json::object& step) {
    if (const auto* lines = find_array(step, "later")) {  // what an open stream tells now
      if (streams_.empty()) return fail("the scenario has no open stream");
      return of(lines_differ(*streams_.back(), *lines, saved_));
    }
    auto reply = call(step);
    if (!reply)
      for (const auto& code : strings_or_empty(step, "not_here"))
        if (code == code_name(reply.error().code)) return skip("can't be judged here: " + reply.error().message);
    if (const auto codes = codes_due(step); !codes.empty()) return of(error_differs(codes, reply));
    if (!reply) return fail(std::string(code_name(reply.error().code)) + ": " + reply.error().message);
    return of(reply_differs(step, *reply));
  }

 private:
  static Verdict of(std::string wrong) { return wrong.empty() ? pass() : fail(std::move(wrong)); }

  Result<Reply> call(const json::object& step) {
    const auto* body = step.if_contains("body");
    const auto text = json::serialize(body == nullptr ? json::value(json::object{}) : filled_in(*body, saved_));
    UniqueFd given;
    std::vector<int> fds;
    if (const auto sent = find_string(step, "text")) {
      given = file_with(*sent);
      fds.push_back(given.get());
    }
    return trial_.call(contract_.interface, string_or(step, "call"), text, fds,
                       std::chrono::milliseconds(int_or(step, "within_ms", kStepMs)));
  }

  static std::vector<std::string> codes_due(const json::object& step) {
    if (auto code = find_string(step, "error")) return {std::move(*code)};
    return strings_or_empty(step, "error");
  }

  static std::string error_differs(const std::vector<std::string>& codes, const Result<Reply>& reply) {
    std::string due;
    for (const auto& code : codes) {
      if (!reply && code_name(reply.error().code) == code) return {};
      due += (due.empty() ? "" : " or ") + code;
    }
    if (reply) return "it answers " + json::serialize(reply->body) + " where " + due + " is due";
    return "the error is " + std::string(code_name(reply.error().code)) + " (" + reply.error().message + "), not " +
           due;
  }

  std::string reply_differs(const json::object& step, Reply& reply) {
    if (const auto* method = contract_.method(string_or(step, "call")))
      if (auto wrong = reply_fault(*method, reply); !wrong.empty()) return wrong;
    if (const auto* wanted = step.if_contains("expect"))
      if (auto other = difference(filled_in(*wanted, saved_), reply.body, "the reply"); !other.empty()) return other;
    if (const auto* save = find_object(step, "save"))
      for (const auto& [name, member] : *save) {
        const auto* found = reply.body.if_contains(member.as_string());
        saved_[std::string(name)] = found == nullptr ? json::value() : *found;
      }
    return stream_differs(step, reply);
  }

  std::string stream_differs(const json::object& step, Reply& reply) {
    const auto text = find_string(step, "reply_text");
    const auto* lines = find_array(step, "lines");
    if ((text || lines != nullptr) && reply.fds.empty()) return "the reply has no descriptor";
    if (text)
      if (const auto got = text_of(reply.fds[0].get()); got != *text)
        return "the descriptor gives \"" + got + "\", not \"" + *text + "\"";
    if (lines == nullptr) return {};
    streams_.push_back(std::make_unique<LineReader>(std::move(reply.fds[0])));
    return lines_differ(*streams_.back(), *lines, saved_);
  }

  TrialNode& trial_;
  const Contract& contract_;
  Saved saved_;
  std::vector<std::unique_ptr<LineReader>> streams_;
};

}  // namespace

Verdict run_scenario(TrialNode& trial, const Contract& contract, const json::object& scenario) {
  const auto* steps = find_array(scenario, "steps");
  if (steps == nullptr || steps->empty()) return fail("the scenario has no steps");
  Run run(trial, contract);
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const auto* step = steps->at(i).if_object();
    if (step == nullptr) return fail("step " + std::to_string(i + 1) + " is no object");
    auto verdict = run.step(*step);
    if (verdict.outcome == Verdict::Outcome::pass) continue;
    verdict.words = "step " + std::to_string(i + 1) + " (" + string_or(*step, "call", "stream") + "): " + verdict.words;
    return verdict;
  }
  return pass();
}

}  // namespace flynn::authoring
