#include "audit_verify.h"

#include <cerrno>
#include <fstream>

#include "sha256.h"

namespace flynn::core {

json::object AuditVerdict::document() const {
  json::object document{{"whole", whole()},           {"entries", entries},   {"head_seq", head.seq},
                        {"head_digest", head.digest}, {"segments", segments}, {"cut_lines", cut_lines}};
  if (open_end) document["open_end"] = true;
  if (broken_line != 0) document["broken_line"] = broken_line;
  if (!words.empty()) document["words"] = words;
  return document;
}

bool AuditChecker::breaks(std::string words) {
  verdict_.broken_line = cut_from_ != 0 ? cut_from_ : number_;
  verdict_.words = std::move(words);
  return false;
}

// After a power cut: the lines since the last good one are no entries, and this one says so.
bool AuditChecker::begins_segment(const json::object& entry, std::string_view prev) const {
  return cut_from_ != 0 && string_or(entry, "action") == kAuditSegment && prev == last_digest_ &&
         int_or(entry, "cut_lines") == number_ - cut_from_;
}

bool AuditChecker::add(std::string_view line) {
  if (verdict_.broken_line != 0) return false;
  ++number_;
  auto digest = sha256_hex(line);
  if (digest == expected_) expected_seen_ = true;
  const auto entry = parse_json_object(line);
  const auto seq = entry ? find_int(*entry, "seq") : std::nullopt;
  const auto prev = entry ? string_or(*entry, "prev") : std::string();
  if (!seq || prev.size() != verdict_.head.digest.size()) {
    if (cut_from_ == 0) cut_from_ = number_;  // cut short, if the entry after it says so
    last_digest_ = std::move(digest);
    return true;
  }
  if (cut_from_ != 0) {
    if (!begins_segment(*entry, prev))
      return breaks("it is no entry, and no entry after it says that it was cut short");
    verdict_.cut_lines += number_ - cut_from_;
    ++verdict_.segments;
    cut_from_ = 0;
  } else if (prev != verdict_.head.digest) {
    // Numbers without a gap: the line before was changed. With one: lines were taken out or put in before this one.
    if (*seq != verdict_.head.seq + 1)
      return breaks("it does not follow the line before it: lines were taken out or put in");
    --number_;
    return breaks("its bytes are not those that the line after it vouches for: it was changed");
  }
  if (*seq != verdict_.head.seq + 1)
    return breaks("its \"seq\" is " + std::to_string(*seq) + " and should be " + std::to_string(verdict_.head.seq + 1));
  verdict_.head = {*seq, std::move(digest)};
  ++verdict_.entries;
  return true;
}

AuditVerdict AuditChecker::finish() {
  if (cut_from_ != 0 && verdict_.broken_line == 0)
    breaks("it is no entry, and no entry after it says that it was cut short");
  if (verdict_.broken_line == 0 && !expected_.empty() && !expected_seen_) {
    verdict_.found_expected = false;
    verdict_.words = "no line has the digest " + expected_ + ": the log was cut or written anew since that was noted";
  }
  return std::move(verdict_);
}

Result<AuditVerdict> verify_audit_file(const std::filesystem::path& file, const std::string& expected) {
  std::error_code failure;
  if (std::filesystem::exists(file, failure) && !std::filesystem::is_regular_file(file, failure))
    return Error{Code::invalid_argument, file.string() + " is not a regular file"};
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return errno_error(errno, "open " + file.string());
  AuditChecker checker(expected);
  // A last line without its line feed may just be being written.
  std::string line;
  while (std::getline(stream, line) && !stream.eof())
    if (!checker.add(line)) break;
  auto verdict = checker.finish();
  verdict.open_end = stream.eof() && !line.empty();
  if (verdict.whole() && verdict.entries == 0 && !verdict.open_end) {
    verdict.found_expected = false;
    verdict.words = "it has no entry, and every audit log begins with one: it was emptied";
  }
  return verdict;
}

}  // namespace flynn::core
