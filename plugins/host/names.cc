#include "names.h"

#include <algorithm>

#include "digest.h"

namespace flynn::host {
namespace {

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kPathBytesMax = 1024;

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || !is_alnum(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_layer_id(std::string_view id) {
  return id.size() == 64 &&
         std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_safe_absolute_path(std::string_view path) {
  if (path.size() < 2 || path.size() > kPathBytesMax || path.front() != '/' || path.back() == '/') return false;
  if (std::any_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return false;
  for (std::size_t begin = 1; begin <= path.size();) {
    auto end = std::min(path.find('/', begin), path.size());
    const auto segment = path.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return false;
    begin = end + 1;
  }
  return true;
}

bool is_service_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string veth_name(std::string_view bridge, std::string_view job_id) {
  return "fv" + sha512_256_hex(std::string(bridge) + "/" + std::string(job_id)).substr(0, 12);
}

}  // namespace flynn::host
