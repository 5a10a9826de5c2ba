#include "version.h"

#include <ostream>

#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<int> version(Session& session, const Arguments&) {
  session.out() << kVersion << '\n';
  return 0;
}

}  // namespace

CommandList version_commands() { return {{"version", "", "Show the version of this program", {}, 0, 0, version}}; }

}  // namespace flynn::cli
