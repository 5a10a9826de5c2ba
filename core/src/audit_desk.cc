#include "audit_desk.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "desk_message.h"
#include "flynn/sdk/stream.h"

namespace flynn::core {
namespace {

constexpr std::size_t kRequestBytesMax = 2 * kAuditLineBytesMax;
constexpr int kToldMax = 8;  // a host gone mad must not fill the journal

}  // namespace

Result<UniqueFd> AuditDesk::connect() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return errno_error(errno, "make the socket for the audit log");
  ours_.reset(ends[0]);
  told_ = 0;
  return UniqueFd(ends[1]);
}

bool AuditDesk::serve() {
  std::string request(kRequestBytesMax, '\0');
  std::vector<UniqueFd> fds;
  while (true) {
    const auto got = receive_message(ours_.get(), request, fds);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    const auto document = parse_json_object(std::string_view(request.data(), static_cast<std::size_t>(got)));
    if (const auto listener = document ? find_string(*document, "listener") : std::nullopt) {
      take(std::string(*listener), std::move(fds));
      continue;
    }
    const auto text = answer(document);
    // Never waits for a host that does not read.
    (void)::send(ours_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

std::string AuditDesk::answer(const Result<json::object>& request) {
  const auto* entry = request ? find_object(*request, "entry") : nullptr;
  if (entry == nullptr) return R"({"id":0,"error":"no entry"})";
  json::object reply{{"id", int_or(*request, "id")}};
  auto seq = append(*entry);
  if (seq)
    reply["seq"] = *seq;
  else
    reply["error"] = seq.error().message.substr(0, 1024);
  return json::serialize(reply);
}

// No answer: the host does not wait for one.
void AuditDesk::take(const std::string& name, std::vector<UniqueFd> fds) {
  Result<void> kept = Error{Code::invalid_argument, "a listener must come with one socket"};
  if (fds.size() == 1 && keep_) kept = keep_(name, std::move(fds.front()));
  if (!kept && told_++ < kToldMax) std::fprintf(stderr, "flynn-host: %s\n", kept.error().message.c_str());
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
