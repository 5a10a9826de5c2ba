#include <algorithm>
#include <ostream>

#include "../admin_socket.h"
#include "../documents.h"
#include "../session.h"
#include "../table.h"
#include "audit_verify.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kOutcomeShown = 72, kDigestShown = 12;

std::string shortened(const std::string& text) {
  if (text.size() <= kOutcomeShown) return text;
  std::size_t end = kOutcomeShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a letter
  return text.substr(0, end) + "…";
}

std::string who(const json::object& entry) {
  const json::object& peer = object_of(entry, "by");
  if (peer.empty()) return text_of(entry, "by");
  if (const std::string plugin = text_of(peer, "plugin"); !plugin.empty()) return "plugin " + plugin;
  const std::string user = text_of(peer, "user"), program = text_of(peer, "program");
  return (user.empty() ? "uid " + std::to_string(number_of(peer, "uid")) : user) +
         (program.empty() ? "" : "/" + program);
}

std::string version(const json::object& entry, std::string_view side) {
  const json::object& one = object_of(entry, side);
  const std::string digest = text_of(one, "digest").substr(0, kDigestShown);
  return text_of(one, "version") + (digest.empty() ? "" : " (" + digest + ")");
}

Result<int> history(Session& session, const Arguments& arguments) {
  const auto answer =
      admin_request(admin_socket_path(), "plugin.history",
                    arguments.values.empty() ? json::object() : json::object{{"slot", arguments.at(0)}}, {});
  if (!answer) return answer.error();
  const json::array& entries = array_of(as_object(*answer), "entries");
  if (entries.empty() && !arguments.values.empty()) {
    Error none = failure("the audit log has no entry of a slot \"" + arguments.at(0) + "\"",
                         "'flynn plugin list' shows the slots, 'flynn plugin history' the entries of all.");
    none.kind = Failure::kNotFound;
    return none;
  }
  if (session.json()) {
    // One JSON object a line: entries of different kinds have different members.
    for (const json::value& entry : entries) session.show(entry);
    session.shown();
    return 0;
  }
  Table table({"SEQ", "AT", "BY", "SLOT", "ACTION", "FROM", "TO", "OUTCOME"});
  for (const json::value& value : entries) {
    const json::object& entry = as_object(value);
    table.add({std::to_string(number_of(entry, "seq")), text_of(entry, "at"), who(entry), text_of(entry, "slot"),
               text_of(entry, "action"), version(entry, "from"), version(entry, "to"),
               shortened(text_of(entry, "outcome"))});
  }
  session.show(table);
  return 0;
}

Result<json::object> verdict_of(const Arguments& arguments) {
  if (const std::string head = arguments.value("head");
      arguments.has("head") && (head.size() != 64 || head.find_first_not_of("0123456789abcdef") != std::string::npos))
    return usage_error("--head \"" + head + "\": expected the 64 digits of a SHA-256, as 'head:' shows them");
  if (arguments.values.empty()) {
    const auto answer = admin_request(admin_socket_path(), "plugin.audit", {{"head", arguments.value("head")}}, {});
    if (!answer)
      return answer.error().advise(
          "Without a running host give it the file: flynn plugin audit --verify DATA_DIR/core/audit.ndjson");
    return as_object(*answer);
  }
  const auto verdict = core::verify_audit_file(arguments.at(0), arguments.value("head"));
  if (!verdict.ok()) return failure(verdict.error().message).as(ErrorCode::kFileUnreadable);
  json::object document = verdict->document();
  document["file"] = arguments.at(0);
  return document;
}

Result<int> audit(Session& session, const Arguments& arguments) {
  const auto verdict = verdict_of(arguments);
  if (!verdict) return verdict.error();
  const bool whole = flag_of(*verdict, "whole");
  if (session.json()) {
    session.show(*verdict);
    return whole ? 0 : 1;
  }
  const std::string file = text_of(*verdict, "file");
  if (!whole) {
    const auto line = number_of(*verdict, "broken_line");
    return failure(
        file + (line > 0 ? " line " + std::to_string(line) : std::string()) + ": " + text_of(*verdict, "words"),
        "Somebody or something other than flynn-host wrote to it: keep a copy, and trust nothing after the "
        "lines before that one.");
  }
  session.out() << file << " is whole: " << number_of(*verdict, "entries") << " entries\n"
                << "head: " << number_of(*verdict, "head_seq") << ' ' << text_of(*verdict, "head_digest") << '\n';
  if (const auto cut = number_of(*verdict, "cut_lines"); cut > 0)
    session.out() << "lines cut short by a power failure or a full disk, and marked so: " << cut << '\n';
  if (flag_of(*verdict, "open_end"))
    session.out() << "its last line has no end: it is being written, or was cut short by a power failure; flynn-host "
                     "marks it so when it starts\n";
  return 0;
}

}  // namespace

CommandList plugin_audit_commands() {
  return {
      {"plugin history", "[<slot>]", "Show the newest entries of the audit log", {}, 0, 1, history},
      {"plugin audit",
       "[<audit.ndjson>]",
       "Check that no line of the audit log was changed, added or taken out",
       {{0, "verify", "", "check it (the default)"},
        {0, "head", "digest", "a head noted earlier, which must still be in the log"}},
       0,
       1,
       audit},
  };
}

}  // namespace flynn::cli
