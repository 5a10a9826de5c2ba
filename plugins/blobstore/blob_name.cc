#include "blob_name.h"

#include <algorithm>

namespace flynn::blobstore {
namespace {

// Leaves room for the mark within NAME_MAX (255).
constexpr std::size_t kPieceBytesMax = 200;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

Error bad_name(std::string_view why) { return Error{Code::invalid_argument, "member \"name\" " + std::string(why)}; }

}  // namespace

Result<void> check_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return bad_name("must have 1 to 512 bytes");
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const auto segment = name.substr(begin, end - begin);
    if (segment.empty()) return bad_name("has an empty segment");
    if (segment == "." || segment == "..") return bad_name("has a segment \".\" or \"..\"");
    if (!std::all_of(segment.begin(), segment.end(), is_name_char))
      return bad_name("may contain letters, digits, '.', '_', '-' and '/' only");
    begin = end + 1;
  }
  return {};
}

Result<void> check_prefix(std::string_view prefix) {
  if (prefix.size() > kNameBytesMax) return Error{Code::invalid_argument, "the prefix is longer than 512 bytes"};
  if (!std::all_of(prefix.begin(), prefix.end(), [](char c) { return c == '/' || is_name_char(c); }))
    return Error{Code::invalid_argument, "the prefix may contain letters, digits, '.', '_', '-' and '/' only"};
  return {};
}

std::string path_of_name(std::string_view name) {
  std::string path;
  std::size_t piece = 0;
  for (const char c : name) {
    if (c == '/') {
      path += "@/";
      piece = 0;
      continue;
    }
    if (piece == kPieceBytesMax) {
      path += "+/";
      piece = 0;
    }
    path += c;
    ++piece;
  }
  return path;
}

EntryKind name_of_entry(std::string_view entry, std::string& part) {
  if (entry.empty()) return EntryKind::stranger;
  const char mark = entry.back();
  const bool folder = mark == '@' || mark == '+';
  const auto text = folder ? entry.substr(0, entry.size() - 1) : entry;
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_name_char)) return EntryKind::stranger;
  part = text;
  if (mark == '@') part += '/';
  return folder ? EntryKind::folder : EntryKind::blob;
}

}  // namespace flynn::blobstore
