#include "contract.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "flynn/sdk/stream.h"

namespace flynn::authoring {
namespace {

constexpr auto kStepTime = std::chrono::seconds(10);
constexpr std::size_t kReplyBytesMax = 1u << 20;

Result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return errno_error(errno, "open " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

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

UniqueFd file_with(const std::string& text) {
  UniqueFd fd(::memfd_create("flynn-plugin", MFD_CLOEXEC));
  [[maybe_unused]] const auto written = ::write(fd.get(), text.data(), text.size());
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string text_of(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  ssize_t got = 0;
  while (text.size() < kReplyBytesMax && (got = ::read(fd, chunk.data(), chunk.size())) > 0)
    text.append(chunk.data(), static_cast<std::size_t>(got));
  return text;
}

std::string lines_differ(LineReader& reader, const json::array& wanted, const Saved& saved) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto place = "line " + std::to_string(i + 1);
    auto status = reader.next(Deadline::after(kStepTime));
    if (!status || *status != LineReader::Status::line) return place + " of the stream did not come";
    auto line = parse_json(reader.text());
    if (!line) return place + " is no JSON: " + std::string(reader.text());
    if (auto other = difference(filled_in(wanted.at(i), saved), *line, place); !other.empty()) return other;
  }
  return {};
}

std::string run_step(TrialNode& trial, const std::string& interface, const json::object& step, Saved& saved,
                     std::vector<std::unique_ptr<LineReader>>& streams) {
  if (const auto* lines = find_array(step, "later")) {  // what an open stream tells now
    if (streams.empty()) return "the scenario has no open stream";
    return lines_differ(*streams.back(), *lines, saved);
  }
  const auto method = string_or(step, "call");
  const auto* body = step.if_contains("body");
  const auto text = json::serialize(body == nullptr ? json::value(json::object{}) : filled_in(*body, saved));
  std::vector<UniqueFd> given;
  std::vector<int> fds;
  if (const auto sent = find_string(step, "text")) {
    given.push_back(file_with(*sent));
    fds.push_back(given.back().get());
  }
  auto reply = trial.call(interface, method, text, fds, kStepTime);
  if (const auto code = find_string(step, "error")) {
    if (reply) return "it answers " + json::serialize(reply->body) + " where " + *code + " is due";
    if (code_name(reply.error().code) != *code)
      return "the error is " + std::string(code_name(reply.error().code)) + " (" + reply.error().message + "), not " +
             *code;
    return {};
  }
  if (!reply) return std::string(code_name(reply.error().code)) + ": " + reply.error().message;
  if (const auto* wanted = step.if_contains("expect"))
    if (auto other = difference(filled_in(*wanted, saved), reply->body, "the reply"); !other.empty()) return other;
  if (const auto* save = find_object(step, "save"))
    for (const auto& [name, member] : *save) {
      const auto* found = reply->body.if_contains(member.as_string());
      saved[std::string(name)] = found == nullptr ? json::value() : *found;
    }
  const auto wanted_text = find_string(step, "reply_text");
  const auto* lines = find_array(step, "lines");
  if ((wanted_text || lines != nullptr) && reply->fds.empty()) return "the reply has no descriptor";
  if (wanted_text)
    if (const auto got = text_of(reply->fds[0].get()); got != *wanted_text)
      return "the descriptor gives \"" + got + "\", not \"" + *wanted_text + "\"";
  if (lines != nullptr) {
    streams.push_back(std::make_unique<LineReader>(std::move(reply->fds[0])));
    return lines_differ(*streams.back(), *lines, saved);
  }
  return {};
}

}  // namespace

std::string interfaces_folder() {
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  const auto installed = self.parent_path().parent_path() / "share/flynn/interfaces";
  return std::filesystem::exists(installed, failure) ? installed.string() : FLYNN_INTERFACES_DIR;
}

Result<std::optional<Contract>> load_contract(const std::string& interface) {
  const auto slash = interface.find('/');
  const std::string prefix = "flynn.";
  if (!interface.starts_with(prefix) || slash == std::string::npos) return std::optional<Contract>();
  const std::filesystem::path path =
      interfaces_folder() + "/" + interface.substr(prefix.size(), slash - prefix.size()) + ".json";
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) return std::optional<Contract>();
  auto text = read_file(path);
  if (!text) return text.error();
  auto document = parse_json_object(*text);
  if (!document) return document.error().context(path.string());
  if (string_or(*document, "interface") != interface) return std::optional<Contract>();
  Contract contract;
  contract.interface = interface;
  if (const auto* methods = find_object(*document, "methods")) contract.methods = *methods;
  if (const auto* suite = find_array(*document, "suite")) contract.suite = *suite;
  return std::optional(std::move(contract));
}

std::string run_scenario(TrialNode& trial, const std::string& interface, const json::object& scenario) {
  Saved saved;
  std::vector<std::unique_ptr<LineReader>> streams;
  const auto* steps = find_array(scenario, "steps");
  if (steps == nullptr) return "the scenario has no steps";
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const auto* step = steps->at(i).if_object();
    if (step == nullptr) return "step " + std::to_string(i + 1) + " is no object";
    if (auto wrong = run_step(trial, interface, *step, saved, streams); !wrong.empty())
      return "step " + std::to_string(i + 1) + " (" + string_or(*step, "call", "stream") + "): " + wrong;
  }
  return {};
}

}  // namespace flynn::authoring
