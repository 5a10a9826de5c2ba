#include "../doctor.h"

#include <algorithm>
#include <ostream>

#include "../documents.h"
#include "families.h"

namespace flynn::cli {
namespace {

std::string_view grade_name(Finding::Grade grade) {
  switch (grade) {
    case Finding::Grade::kOk:
      return "ok";
    case Finding::Grade::kWarning:
      return "warning";
    case Finding::Grade::kFailed:
      break;
  }
  return "FAILED";
}

void print(std::ostream& out, const Finding& finding) {
  out << grade_name(finding.grade) << "  " << finding.check << ": " << finding.detail << '\n';
  if (finding.grade == Finding::Grade::kOk) return;
  out << "    next: " << finding.remedy << '\n';
  if (finding.code != ErrorCode::kUnknown) out << "    code: " << name_of(finding.code) << '\n';
}

Result<int> doctor(Session& session, const Arguments&) {
  const auto findings = examine(session);
  json::array documents;
  for (const Finding& finding : findings) {
    print(session.out(), finding);
    documents.push_back(json::object{{"check", finding.check},
                                     {"result", grade_name(finding.grade)},
                                     {"detail", finding.detail},
                                     {"next", finding.remedy},
                                     {"code", finding.grade == Finding::Grade::kOk ? "" : name_of(finding.code)}});
  }
  if (session.json()) session.show(documents);
  const bool failed = std::any_of(findings.begin(), findings.end(),
                                  [](const Finding& f) { return f.grade == Finding::Grade::kFailed; });
  return failed ? 1 : 0;
}

}  // namespace

CommandList doctor_commands() {
  return {{"doctor",
           "",
           "Check this machine, the way to the cluster, the cluster and the app; exit code 1 if something failed",
           {},
           0,
           0,
           doctor}};
}

}  // namespace flynn::cli
