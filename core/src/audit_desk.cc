#include "audit_desk.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "flynn/sdk/stream.h"

namespace flynn::core {
namespace {

constexpr std::size_t kRequestBytesMax = 2 * kAuditLineBytesMax;

}  // namespace

Result<UniqueFd> AuditDesk::connect() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return errno_error(errno, "make the socket for the audit log");
  ours_.reset(ends[0]);
  return UniqueFd(ends[1]);
}

bool AuditDesk::serve() {
  std::string request(kRequestBytesMax, '\0');
  while (true) {
    const auto got = ::recv(ours_.get(), request.data(), request.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    const auto text = answer({request.data(), static_cast<std::size_t>(got)});
    // Never waits for a host that does not read.
    (void)::send(ours_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

std::string AuditDesk::answer(std::string_view request) {
  auto document = parse_json_object(request);
  const auto* entry = document ? find_object(*document, "entry") : nullptr;
  if (entry == nullptr) return R"({"id":0,"error":"no entry"})";
  json::object reply{{"id", int_or(*document, "id")}};
  auto seq = append(*entry);
  if (seq)
    reply["seq"] = *seq;
  else
    reply["error"] = seq.error().message.substr(0, 1024);
  return json::serialize(reply);
}

Result<std::int64_t> AuditDesk::append(const json::object& entry) {
  if (!log_) {
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    auto opened = AuditFile::open(file_, node_);
    if (!opened) return opened.error();
    log_ = std::move(*opened);
  }
  return log_->append(entry);
}

void AuditDesk::add(json::object entry) {
  entry["by"] = "keeper";
  if (auto written = append(entry); !written)
    std::fprintf(stderr, "flynn-host: audit entry lost: %s: %s\n", written.error().message.c_str(),
                 json::serialize(entry).c_str());
}

std::string AuditDesk::head_text() const {
  return log_ ? std::to_string(log_->head().seq) + " " + log_->head().digest : "none";
}

}  // namespace flynn::core
