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

std::string_view text_of(TcpEnd end) {
  switch (end) {
    case TcpEnd::kRouterStopped:
      return "router_stopped";
    case TcpEnd::kClientClosed:
      return "client_closed";
    case TcpEnd::kInstanceClosed:
      return "instance_closed";
    case TcpEnd::kClientReset:
      return "client_reset";
    case TcpEnd::kInstanceReset:
      return "instance_reset";
    case TcpEnd::kIdleTimeout:
      return "idle_timeout";
    case TcpEnd::kNoInstance:
      return "no_instance";
  }
  return "unknown";
}

}  // namespace

// A record: three NUL-terminated fields. None of the texts can hold a NUL: the parser has rejected it.
bool AccessLog::begin(std::string_view app_id, std::uint64_t timestamp_us, std::size_t size) {
  if (filling_.size() + size + 256 > kBytesMax) return false;
  if (filling_.capacity() == 0) filling_.reserve(kBytesMax);
  filling_.append(app_id).push_back('\0');
  put_number(filling_, timestamp_us);
  filling_.push_back('\0');
  return true;
}

bool AccessLog::add(const LogRequest& request) {
  const auto size = request.method.size() + request.host.size() + request.path.size() + request.request_id.size();
  if (!begin(request.app_id, request.timestamp_us, size)) return false;
  auto& out = filling_;
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

bool AccessLog::add(const LogTcp& connection) {
  const auto size = connection.route.size() + connection.service.size() + connection.backend.size() + 128;
  if (!begin(connection.app_id, connection.timestamp_us, size)) return false;
  auto& out = filling_;
  const auto number = [&](std::string_view name, std::uint64_t value) {
    out.append(name);
    put_number(out, value);
  };
  number("protocol=tcp port=", static_cast<std::uint64_t>(connection.port));
  out.append(" route=tcp/").append(connection.route).append(" service=").append(connection.service);
  number(" bytes_in=", connection.bytes_in);
  number(" bytes_out=", connection.bytes_out);
  number(" connect_ms=", connection.connect_ms);
  number(" service_ms=", connection.duration_ms);
  out.append(" client=").append(connection.client_ip).append(" backend=").append(connection.backend);
  out.append(" end=").append(text_of(connection.end)).push_back('\0');
  return true;
}

bool AccessLog::hand_over() {
  if (filling_.empty()) return true;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !handed_.empty()) return false;
  std::swap(filling_, handed_);
  return true;
}

void AccessLog::take_rest(AccessLog& other) {
  const std::scoped_lock lock(mutex_, other.mutex_);
  handed_.append(std::exchange(other.handed_, {}));
  handed_.append(std::exchange(other.filling_, {}));
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
