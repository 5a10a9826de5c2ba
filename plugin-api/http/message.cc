#include "message.h"

namespace flynn::http {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      int high = digit_of(text[i + 1]);
      int low = digit_of(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return true;
}

bool parse_query(std::string_view text, HttpRequest& request) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    std::size_t equals = pair.find('=');
    std::pair<std::string, std::string> entry;
    if (!decode(pair.substr(0, equals), true, entry.first)) return false;
    if (equals != std::string_view::npos && !decode(pair.substr(equals + 1), true, entry.second)) return false;
    request.query.push_back(std::move(entry));
  }
  return true;
}

}  // namespace

const std::string* HttpRequest::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool HttpRequest::query_flag(std::string_view name) const {
  const std::string* value = query_value(name);
  return value != nullptr && *value == "true";
}

bool parse_target(std::string_view target, HttpRequest& request) {
  if (target.starts_with("http://") || target.starts_with("https://")) {
    std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  std::size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  if (path.empty() || path[0] != '/') return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    if (segment.empty()) continue;
    std::string decoded;
    if (!decode(segment, false, decoded)) return false;
    request.segments.push_back(std::move(decoded));
  }
  return question == std::string_view::npos || parse_query(target.substr(question + 1), request);
}

}  // namespace flynn::http
