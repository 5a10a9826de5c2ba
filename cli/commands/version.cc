#include "version.h"

#include <ostream>

#include "../documents.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<int> version(Session& session, const Arguments&) {
  if (session.json()) session.show(json::object{{"version", kVersion}});
  session.out() << kVersion << '\n';
  return 0;
}

}  // namespace

CommandList version_commands() { return {{"version", "", "Show the version of this program", {}, 0, 0, version}}; }

}  // namespace flynn::cli
