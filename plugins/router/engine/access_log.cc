#include "engine/access_log.h"

#include <charconv>
#include <cstring>
#include <utility>

namespace flynn::router {
namespace {

constexpr std::size_t kBytesMax = 1024 * 1024;

void put_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

// A record: three NUL-terminated fields. None of the texts can hold a NUL: the parser has rejected it.
bool AccessLog::add(const LogRequest& request) {
  const auto size = request.method.size() + request.host.size() + request.path.size() + request.request_id.size();
  if (filling_.size() + size + 256 > kBytesMax) return false;
  if (filling_.capacity() == 0) filling_.reserve(kBytesMax);
  auto& out = filling_;
  out.append(request.app_id).push_back('\0');
  put_number(out, request.timestamp_us);
  out.push_back('\0');
  out.append("method=").append(request.method).append(" host=").append(request.host);
  out.append(" path=\"").append(request.path).append("\" status=");
  put_number(out, static_cast<std::uint64_t>(request.status));
  out.append(" bytes=");
  put_number(out, request.bytes);
  out.append(" service_ms=");
  put_number(out, request.duration_ms);
  out.append(" client=").append(request.client_ip).append(" backend=").append(request.backend);
  out.append(" request_id=").append(request.request_id).push_back('\0');
  return true;
}

bool AccessLog::hand_over() {
  if (filling_.empty()) return true;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !handed_.empty()) return false;
  std::swap(filling_, handed_);
  return true;
}

void AccessLog::collect(const std::function<void(const LogLine&)>& visit) {
  std::string lines;
  {
    const std::lock_guard lock(mutex_);
    lines.swap(handed_);
  }
  const char* at = lines.data();
  const char* end = at + lines.size();
  while (at < end) {
    LogLine line;
    line.app_id = at;
    at += line.app_id.size() + 1;
    const std::string_view time = at;
    std::from_chars(time.data(), time.data() + time.size(), line.timestamp_us);
    at += time.size() + 1;
    line.text = at;
    at += line.text.size() + 1;
    visit(line);
  }
}

}  // namespace flynn::router
