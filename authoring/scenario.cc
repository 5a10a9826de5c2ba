// The scenarios of a contract's suite.
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "attach_text.h"
#include "contract.h"
#include "expectation.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"
#include "http_exchange.h"
#include "stand_ins.h"
#include "stream_text.h"

namespace flynn::authoring {
namespace {

constexpr int kStepMs = 10'000, kPollMs = 20;

struct Answer {
  json::object document;
  std::vector<UniqueFd> fds;
};

std::vector<std::string> codes_due(const json::object& step) {
  if (auto code = find_string(step, "error")) return {std::move(*code)};
  return strings_or_empty(step, "error");
}

std::string told(const Error& error) { return std::string(code_name(error.code)) + ": " + error.message; }

std::string error_differs(const std::vector<std::string>& codes, const Result<Answer>& answer) {
  std::string due;
  for (const auto& code : codes) {
    if (!answer && code_name(answer.error().code) == code) return {};
    due += (due.empty() ? "" : " or ") + code;
  }
  if (answer) return "it answers " + json::serialize(answer->document) + " where " + due + " is due";
  return "the error is " + std::string(code_name(answer.error().code)) + " (" + answer.error().message + "), not " +
         due;
}

// One run of a scenario: what was saved, the streams that are open, and the stand-ins.
class Run {
 public:
  Run(TrialNode& trial, const Contract& contract) : trial_(trial), contract_(contract) {
    for (const char* name : {"uuid", "uuid2", "uuid3"}) saved_[name] = new_uuid();
  }

  Verdict step(const json::object& step) {
    if (step.contains("later")) return later(step);
    if (step.contains("ends")) return of(ending_differs(step));
    if (step.contains("session")) return of(session_differs(step));
    if (step.contains("swap")) return swap();
    if (step.contains("restart")) return of(trial_.restart());
    if (const auto name = find_string(step, "backend")) return start_backend(*name);
    if (const auto name = find_string(step, "layer")) return make_layer(*name);
    if (const auto name = find_string(step, "file")) return make_file(*name, text_in(step, "text"));
    if (step.contains("send")) return send(text_in(step, "send"));
    if (const auto* wanted = step.if_contains("kept"))
      return of(difference(filled_in(*wanted, saved_), json::value(text_of(received_.get())), "the descriptor"));
    if (bool_or(step, "close")) return streams_.pop_back(), readers_.pop_back(), pass();
    return ask(step);
  }

  /// Whether the rest of the steps can't be asked of this provider, which may be as it is.
  bool done() const { return done_; }

 private:
  static Verdict of(std::string wrong) { return wrong.empty() ? pass() : fail(std::move(wrong)); }
  static std::chrono::milliseconds limit_of(const json::object& step) {
    return std::chrono::milliseconds(int_or(step, "within_ms", kStepMs));
  }

  Verdict swap() {
    auto swapped = trial_.swap();
    return swapped ? pass() : fail("it can't be swapped by another copy: " + swapped.error().message);
  }

  Verdict start_backend(const std::string& name) {
    auto backend = EchoBackend::start(name);
    if (!backend) return skip("can't be judged here: " + backend.error().message);
    saved_[name] = (*backend)->address();
    backends_.push_back(std::move(*backend));
    return pass();
  }

  Verdict make_layer(const std::string& name) {
    auto layer = given_layer(trial_);
    if (!layer) return skip("can't be judged here: " + layer.error().message);
    saved_[name] = std::move(*layer);
    return pass();
  }

  Verdict make_file(const std::string& name, const std::string& text) {
    const auto path = trial_.folder() + "/" + name;
    std::ofstream(path, std::ios::app) << text;
    saved_[name] = path;
    return pass();
  }

  Verdict send(const std::string& text) {
    if (streams_.empty()) return fail("the scenario has no open stream");
    auto sent = write_all(streams_.back(), stdin_frame(text), Deadline::after(std::chrono::milliseconds(kStepMs)));
    return sent ? pass() : fail("the stream takes nothing: " + sent.error().message);
  }

  // A call or an HTTP request; with "until" as often as it takes.
  Verdict ask(const json::object& step) {
    if (auto why = missing_for(step); !why.empty()) return skip("can't be judged here: " + why);
    const auto deadline = Deadline::after(limit_of(step));
    const bool waits = step.contains("until") || bool_or(step, "retry");
    for (const StopSignal never;; never.wait(kPollMs)) {
      auto verdict = ask_once(step);
      if (!waits || verdict.outcome != Verdict::Outcome::fail || deadline.passed()) return verdict;
    }
  }

  std::string missing_for(const json::object& step) const {
    if (step.contains("http")) {
      const auto socket = string_or(step, "on");
      return trial_.port_of(socket) == 0 ? "it does not ask for the socket " + socket : std::string();
    }
    const auto other = string_or(step, "of");
    return other.empty() || trial_.provides(other) ? std::string() : "nobody provides " + other + " (--with FILE.so)";
  }

  Verdict ask_once(const json::object& step) {
    auto answer = step.contains("http") ? exchange(step) : call(step);
    if (!answer)
      for (const auto& code : strings_or_empty(step, "not_here"))
        if (code == code_name(answer.error().code)) return skip("can't be judged here: " + answer.error().message);
    if (!answer)
      for (const auto& code : strings_or_empty(step, "or"))
        if (code == code_name(answer.error().code)) return done_ = true, pass();
    if (const auto codes = codes_due(step); !codes.empty()) return of(error_differs(codes, answer));
    if (!answer) return fail(told(answer.error()));
    return of(answer_differs(step, *answer));
  }

  Result<Answer> call(const json::object& step) {
    const auto* body = step.if_contains("body");
    const auto text = json::serialize(body == nullptr ? json::value(json::object{}) : filled_in(*body, saved_));
    UniqueFd given;
    std::vector<int> fds;
    if (step.contains("text")) {
      given = file_with(text_in(step, "text"));
      fds.push_back(given.get());
    }
    if (bool_or(step, "send_back")) fds.push_back(received_.get());
    auto reply =
        trial_.call(string_or(step, "of", contract_.interface), string_or(step, "call"), text, fds, limit_of(step));
    if (!reply) return reply.error();
    return Answer{std::move(reply->body), std::move(reply->fds)};
  }

  // A member that is a text, or what makes one; objects are sent as JSON.
  std::string text_in(const json::object& step, std::string_view member) const {
    const auto* found = step.if_contains(member);
    if (found == nullptr) return {};
    const auto value = filled_in(*found, saved_);
    return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  }

  Result<Answer> exchange(const json::object& step) {
    HttpRequestText request;
    request.port = trial_.port_of(string_or(step, "on"));
    request.method_path = text_in(step, "http");
    request.body = text_in(step, "text");
    if (const auto* headers = find_object(step, "headers"))
      for (const auto& [name, value] : *headers) request.headers[std::string(name)] = text_in(*headers, name);
    if (step.contains("basic")) request.headers["Authorization"] = basic_credentials(text_in(step, "basic"));
    auto answer = http_answer(request, Deadline::after(limit_of(step)));
    if (!answer) return answer.error();
    return Answer{std::move(*answer), {}};
  }

  std::string answer_differs(const json::object& step, Answer& answer) {
    const bool ours = !step.contains("http") && string_or(step, "of", contract_.interface) == contract_.interface;
    if (const auto* method = ours ? contract_.method(string_or(step, "call")) : nullptr)
      if (auto wrong = reply_fault(*method, answer.document, answer.fds); !wrong.empty()) return wrong;
    for (const char* member : {"expect", "until"})
      if (const auto* wanted = step.if_contains(member))
        if (auto other = difference(filled_in(*wanted, saved_), answer.document, "the reply"); !other.empty())
          return other;
    if (const auto* save = find_object(step, "save"))
      for (const auto& [name, member] : *save)
        saved_[std::string(name)] = member_at(answer.document, std::string(member.as_string()));
    return stream_differs(step, answer);
  }

  std::string stream_differs(const json::object& step, Answer& answer) {
    const auto text = find_string(step, "reply_text");
    const auto* lines = find_array(step, "lines");
    const bool keeps = bool_or(step, "keep"), opens = bool_or(step, "open");
    if ((text || lines != nullptr || keeps || opens) && answer.fds.empty()) return "the reply has no descriptor";
    if (text)
      if (auto other = text_differs(answer.fds[0].get(), *text); !other.empty()) return other;
    if (const auto part = find_string(step, "reply_has"))
      if (const auto got = answer.fds.empty() ? "" : text_of(answer.fds[0].get()); got.find(*part) == std::string::npos)
        return "the descriptor gives \"" + got + "\", without \"" + *part + "\"";
    if (keeps) received_ = std::move(answer.fds[0]);
    if (lines == nullptr && !opens) return {};
    readers_.push_back(std::make_unique<LineReader>(std::move(answer.fds[0])));
    streams_.push_back(readers_.back()->fd());
    return lines == nullptr ? std::string() : lines_differ(*lines);
  }

  static std::string text_differs(int fd, const std::string& wanted) {
    const auto got = text_of(fd);
    return got == wanted ? std::string() : "the descriptor gives \"" + got + "\", not \"" + wanted + "\"";
  }

  Verdict later(const json::object& step) {
    if (readers_.empty()) return fail("the scenario has no open stream");
    return of(lines_differ(step.at("later").as_array()));
  }

  // The next line that is not one of those that may pass at any time.
  Result<LineReader::Status> next_line(std::chrono::milliseconds limit) {
    while (true) {
      auto status = readers_.back()->next(Deadline::after(limit));
      if (!status || *status != LineReader::Status::line) return status;
      auto line = parse_json(readers_.back()->text());
      const bool passes = line && std::any_of(contract_.passing_lines.begin(), contract_.passing_lines.end(),
                                              [&](const auto& one) { return difference(one, *line, "").empty(); });
      if (!passes) return status;
    }
  }

  std::string lines_differ(const json::array& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto place = "line " + std::to_string(i + 1);
      auto status = next_line(std::chrono::milliseconds(kStepMs));
      if (!status || *status != LineReader::Status::line) return place + " of the stream did not come";
      const auto& text = readers_.back()->text();
      auto line = parse_json(text);
      if (!line) return place + " is no JSON: " + text;
      if (auto other = difference(filled_in(wanted.at(i), saved_), *line, place); !other.empty()) return other;
    }
    return {};
  }

  // "ends": true, or the code of the line that says why. Lines before the end are not looked at with "after": "any".
  std::string ending_differs(const json::object& step) {
    if (readers_.empty()) return "the scenario has no open stream";
    const auto codes =
        find_string(step, "ends") ? std::vector{*find_string(step, "ends")} : strings_or_empty(step, "ends");
    std::string said;
    while (true) {
      auto status = next_line(limit_of(step));
      if (!status) return "the stream breaks: " + status.error().message;
      if (*status == LineReader::Status::end) break;
      if (*status != LineReader::Status::line) return "the stream does not end";
      const auto line = parse_json_object(readers_.back()->text());
      const auto error = line ? stream_error(*line) : std::nullopt;
      if (error)
        said = code_name(error->code);
      else if (string_or(step, "after") != "any")
        return "the stream goes on with " + readers_.back()->text() + " where its end is due";
    }
    if (codes.empty()) return said.empty() ? "" : "the stream ends with the error " + said;
    if (std::find(codes.begin(), codes.end(), said) != codes.end()) return {};
    return "the stream ends with " + (said.empty() ? "no error" : "the error " + said) + ", not " + codes.front();
  }

  std::string session_differs(const json::object& step) {
    if (streams_.empty()) return "the scenario has no open stream";
    auto session = attach_session(streams_.back(), Deadline::after(limit_of(step)));
    if (!session) return "the session: " + told(session.error());
    return difference(filled_in(step.at("session"), saved_), json::value(*session), "the session");
  }

  TrialNode& trial_;
  const Contract& contract_;
  bool done_ = false;
  Saved saved_;
  std::vector<std::unique_ptr<LineReader>> readers_;
  std::vector<int> streams_;  // their descriptors
  std::vector<std::unique_ptr<EchoBackend>> backends_;
  UniqueFd received_;  // what a reply brought, to be sent back
};

Verdict run_steps(Run& run, const json::array& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto* step = steps.at(i).if_object();
    if (step == nullptr) return fail("step " + std::to_string(i + 1) + " is no object");
    auto verdict = run.step(*step);
    if (run.done()) return pass();
    if (verdict.outcome == Verdict::Outcome::pass) continue;
    const auto what = string_or(*step, "call", string_or(*step, "http", step->empty() ? "" : step->begin()->key()));
    verdict.words = "step " + std::to_string(i + 1) + " (" + what + "): " + verdict.words;
    return verdict;
  }
  return pass();
}

}  // namespace

Verdict run_scenario(TrialNode& trial, const Contract& contract, const json::object& scenario) {
  const auto* steps = find_array(scenario, "steps");
  if (steps == nullptr || steps->empty()) return fail("the scenario has no steps");
  Run run(trial, contract);
  auto verdict = run_steps(run, *steps);
  // What outlives a node is cleared away whatever came of the steps.
  if (const auto* cleared = find_array(scenario, "finally"))
    for (const auto& step : *cleared)
      if (step.is_object()) (void)run.step(step.get_object());
  return verdict;
}

}  // namespace flynn::authoring
