#include "error_report.h"

#include <algorithm>
#include <ostream>

#include "diagnosis.h"
#include "documents.h"
#include "error_pages.h"

namespace flynn::cli {
namespace {

ErrorCode code_of(Failure kind) {
  switch (kind) {
    case Failure::kUsage:
      return ErrorCode::kUsage;
    case Failure::kNotFound:
      return ErrorCode::kNotFound;
    case Failure::kUnauthorized:
      return ErrorCode::kKeyNotAccepted;
    case Failure::kRefused:
      return ErrorCode::kControllerUnreachable;
    case Failure::kConflict:
      return ErrorCode::kConflict;
    case Failure::kTimeout:
      return ErrorCode::kTimeout;
    case Failure::kPlanned:
    case Failure::kOther:
      break;
  }
  return ErrorCode::kFailed;
}

/// The process's own words say more than ours, and its last ones most.
std::optional<Diagnosis> diagnose_error(const Error& error) {
  for (auto line = error.words.rbegin(); line != error.words.rend(); ++line) {
    if (auto found = diagnose(*line)) return found;
  }
  return error.kind == Failure::kOther || error.kind == Failure::kTimeout ? diagnose(error.what) : std::nullopt;
}

}  // namespace

int exit_code(Failure kind) {
  switch (kind) {
    case Failure::kOther:
      return 1;
    case Failure::kUsage:
      return 2;
    case Failure::kNotFound:
      return 3;
    case Failure::kUnauthorized:
      return 4;
    case Failure::kRefused:
      return 5;
    case Failure::kConflict:
      return 6;
    case Failure::kTimeout:
      return 7;
    case Failure::kPlanned:
      return 0;
  }
  return 1;
}

Error completed(Error error) {
  // A failed start is a symptom: what the process said is the cause.
  const bool symptom = error.code == ErrorCode::kDeploymentFailed || error.code == ErrorCode::kTimeout;
  if (error.code == ErrorCode::kUnknown || symptom) {
    if (const auto found = diagnose_error(error)) {
      error.code = found->code;
      if (!found->cause.empty()) error.words.push_back(std::string(found->cause));
      if (!found->next.empty()) error.next = found->next;
    }
  }
  if (error.code == ErrorCode::kUnknown) error.code = code_of(error.kind);
  if (error.next.empty()) error.next = "flynn help " + std::string(name_of(error.code)) + " says more.";
  return error;
}

void print_error(std::ostream& out, const Error& error) {
  const Error whole = completed(error);
  out << whole.what << '\n';
  for (const std::string& line : whole.words) out << "  | " << line << '\n';
  out << "next: " << whole.next << '\n' << "code: " << name_of(whole.code) << '\n';
}

json::object error_document(const Error& error) {
  const Error whole = completed(error);
  json::array words;
  for (const std::string& line : whole.words) words.emplace_back(line);
  return {{"error",
           {{"code", name_of(whole.code)},
            {"what", whole.what},
            {"why", std::move(words)},
            {"next", whole.next},
            {"exit_code", exit_code(whole.kind)}}}};
}

std::string_view error_page(std::string_view code) {
  const auto found =
      std::find_if(kErrorPages.begin(), kErrorPages.end(), [&](const auto& p) { return p.code == code; });
  return found != kErrorPages.end() ? found->text : std::string_view();
}

}  // namespace flynn::cli
