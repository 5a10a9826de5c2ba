/// Commands of the original client that this platform has no use for, or no way to do yet: each says so, and what to
/// do instead. Hidden, but not unknown.
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Error unsupported(const char* what, const char* instead) { return failure(what, instead).as(ErrorCode::kNotSupported); }

Result<int> login(Session&, const Arguments&) {
  return unsupported("login: this controller knows keys, no OAuth", "flynn cluster add <name> <domain> <key>");
}

Result<int> update(Session&, const Arguments&) {
  return unsupported("update: this program does not replace itself", "Build and install it anew: scripts/up");
}

Result<int> no_appliance(Session&, const Arguments&) {
  return unsupported("this client has no console of that database", "flynn resource add postgres, then flynn pg psql");
}

}  // namespace

CommandList unsupported_commands() {
  const auto row = [](std::string_view name, std::string_view summary, Result<int> (*run)(Session&, const Arguments&)) {
    return Command{name, "[<argument>...]", summary, {}, 0, kAny, run, OptionOrder::kBeforeArguments, true};
  };
  return {
      row("login", "Not supported: clusters are added with their key", login),
      row("update", "Not supported: install the new version", update),
      row("install", "Not supported: scripts/up makes a node", update),
      row("mysql", "Not supported: there is no such appliance", no_appliance),
      row("mongodb", "Not supported: there is no such appliance", no_appliance),
  };
}

}  // namespace flynn::cli
