#include "contract_checks.h"

#include <algorithm>
#include <cctype>
#include <memory>

#include "contract.h"
#include "stream_text.h"

namespace flynn::authoring {
namespace {

// What answers later than this waits for a part of the world that a trial does not have.
constexpr auto kAnswerTime = std::chrono::seconds(3);
// A scenario that fails late still has its "finally" to do.
constexpr auto kScenarioTime = std::chrono::seconds(240);

struct Asked {
  const Trial& trial;
  TrialNode& node;
  const Contract& contract;
  std::uint32_t minor;

  Result<Reply> call(const Method& method, const json::object& body) const {
    const auto text = json::serialize(body);
    trial.doing(method.name + " " + text);
    const auto file = file_with("check");
    std::vector<int> fds;
    if (method.takes_descriptor) fds.push_back(file.get());
    return node.call(contract.interface, method.name, text, fds, kAnswerTime);
  }
  bool is_absent(const Method& method, const Result<Reply>& reply) const {
    return !reply && reply.error().code == Code::unimplemented && (method.optional || method.since > minor);
  }
};

std::string told(const Result<Reply>& reply) {
  return reply ? json::serialize(reply->body)
               : std::string(code_name(reply.error().code)) + ": " + reply.error().message;
}

json::value of_another_type(const json::object& schema) {
  const auto type = string_or(schema, "type");
  return type == "string" ? json::value(7) : json::value("of another type");
}

bool is_part_of_a_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// "id" is not named by "invalid".
bool is_named(const std::string& member, const std::string& message) {
  for (auto at = message.find(member); at != std::string::npos; at = message.find(member, at + 1)) {
    const auto end = at + member.size();
    const bool begins = at == 0 || !is_part_of_a_word(message[at - 1]);
    if (begins && (end == message.size() || !is_part_of_a_word(message[end]))) return true;
  }
  return false;
}

// Empty when the call is refused as a wrong member must be.
std::string refusal_fault(const Asked& asked, const Method& method, const std::string& member,
                          const json::object& body) {
  const auto reply = asked.call(method, body);
  const auto sent = method.name + " with " + json::serialize(body);
  if (reply || reply.error().code != Code::invalid_argument)
    return sent + " must answer invalid_argument, not " + told(reply);
  if (!is_named(member, reply.error().message))
    return sent + " must name \"" + member + "\" in its error, which is: " + reply.error().message;
  return {};
}

// Each method is there, and asks by name for each member that it needs.
Verdict check_methods(const Asked& asked) {
  for (const auto& method : asked.contract.methods) {
    const auto reply = asked.call(method, method.example);
    if (asked.is_absent(method, reply)) continue;
    if (!reply && reply.error().code == Code::unimplemented) return fail(method.name + " is unimplemented");
    const auto* properties = find_object(method.request, "properties");
    for (const auto& member : strings_or_empty(method.request, "required")) {
      auto without = method.example;
      without.erase(member);
      if (auto wrong = refusal_fault(asked, method, member, without); !wrong.empty()) return fail(wrong);
      auto odd = method.example;
      const auto* schema = properties == nullptr ? nullptr : find_object(*properties, member);
      odd[member] = of_another_type(schema == nullptr ? json::object{} : *schema);
      if (auto wrong = refusal_fault(asked, method, member, odd); !wrong.empty()) return fail(wrong);
    }
  }
  return pass(std::to_string(asked.contract.methods.size()) + " methods");
}

// The example of each method is answered in the contract's shape, or by an error that the contract knows.
Verdict check_answers(const Asked& asked) {
  std::string left_out;
  std::size_t judged = 0;
  for (const auto& method : asked.contract.methods) {
    const auto reply = asked.call(method, method.example);
    if (asked.is_absent(method, reply)) continue;
    if (reply) {
      if (auto wrong = reply_fault(method, reply->body, reply->fds); !wrong.empty()) return fail(wrong);
      ++judged;
      continue;
    }
    const auto code = std::string(code_name(reply.error().code));
    if (reply.error().code == Code::unavailable || reply.error().code == Code::deadline_exceeded) {
      left_out += (left_out.empty() ? "" : "; ") + method.name + " (" + told(reply) + ")";
      continue;
    }
    ++judged;
    if (std::find(method.errors.begin(), method.errors.end(), code) == method.errors.end())
      return fail(method.name + " with " + json::serialize(method.example) + " answers " + told(reply) +
                  "; its contract does not have that error");
  }
  if (judged == 0) return skip("nothing could be judged here: " + left_out);
  return pass(std::to_string(judged) + " answers" + (left_out.empty() ? "" : "; not judged here: " + left_out));
}

Check check_of(std::string name, std::string title, std::function<Verdict(const Trial&, TrialNode&)> judge) {
  Check check{.name = std::move(name), .title = std::move(title), .run = {}};
  check.run = [judge = std::move(judge)](const Trial& trial) {
    TrialNode node(trial);
    if (auto wrong = node.start(); !wrong.empty()) return fail(wrong);
    return judge(trial, node);
  };
  return check;
}

}  // namespace

std::vector<Check> contract_checks(const std::string& interface, std::uint32_t minor) {
  auto loaded = load_contract(interface);
  const auto title = "the contract of " + interface;
  if (!loaded)
    return {{.name = interface, .title = title, .run = [words = loaded.error().message](const Trial&) {
               return fail(words);
             }}};
  if (!*loaded)
    return {{.name = interface, .title = title, .run = [](const Trial&) {
               return skip("there is no contract of that name: it is yours to test");
             }}};
  // Shared by the checks, which outlive this.
  const auto contract = std::make_shared<Contract>(std::move(**loaded));
  std::vector<Check> checks;
  checks.push_back(check_of(interface + " methods", "every method of " + interface + ", and what it must refuse",
                            [contract, minor](const Trial& trial, TrialNode& node) {
                              return check_methods({trial, node, *contract, minor});
                            }));
  checks.push_back(check_of(interface + " answers", "every answer of " + interface + " has the contract's shape",
                            [contract, minor](const Trial& trial, TrialNode& node) {
                              return check_answers({trial, node, *contract, minor});
                            }));
  for (const auto& scenario : contract->suite) {
    if (int_or(scenario, "since") > minor) continue;  // promised later than this plugin claims
    const auto name = string_or(scenario, "title");
    checks.push_back(check_of(
        interface + " " + name, interface + ": " + name,
        [contract, scenario](const Trial&, TrialNode& node) { return run_scenario(node, *contract, scenario); }));
    checks.back().limit = kScenarioTime;
  }
  return checks;
}

}  // namespace flynn::authoring
