#include "audit_log.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <deque>
#include <fstream>

#include "flynn/sdk/clock.h"

namespace flynn::core {
namespace {

constexpr std::streamoff kReadBytesMax = 16 << 20;  // of a long history its end is shown
constexpr auto kKeeperPatience = std::chrono::seconds(10);

json::value& actor() {
  thread_local json::value who;
  return who;
}

}  // namespace

ActorScope::ActorScope(json::value who) : before_(std::exchange(actor(), std::move(who))) {}
ActorScope::~ActorScope() { actor() = std::move(before_); }

std::unique_ptr<AuditLog> AuditLog::own(std::filesystem::path file, std::string node, EventLog& log) {
  std::unique_ptr<AuditLog> made(new AuditLog(log));
  made->file_ = std::move(file);
  made->node_ = std::move(node);
  return made;
}

std::unique_ptr<AuditLog> AuditLog::kept(UniqueFd keeper, std::filesystem::path file, EventLog& log) {
  auto made = own(std::move(file), {}, log);
  made->keeper_ = std::move(keeper);
  return made;
}

void AuditLog::add(json::object entry) {
  const auto text = json::serialize(entry);
  if (auto written = append(std::move(entry)); !written)
    log_.error("audit_entry_lost",
               {{"error", written.error().message},
                {"entry", text},
                {"effect", "the work goes on; free space on the disk of data_dir, the log tells how many were lost"}});
}

Result<std::int64_t> AuditLog::append(json::object entry) {
  if (!entry.contains("by")) entry["by"] = actor().is_null() ? json::value("core") : actor();
  const std::lock_guard lock(mutex_);
  auto written = keeper_ ? ask_keeper(entry) : write_own(entry);
  if (written) last_seq_ = *written;
  return written;
}

Result<std::int64_t> AuditLog::write_own(const json::object& entry) {
  if (!own_) {
    auto opened = AuditFile::open(file_, node_);
    if (!opened) return opened.error();
    own_ = std::move(*opened);
  }
  return own_->append(entry);
}

Result<std::int64_t> AuditLog::ask_keeper(const json::object& entry) {
  const auto id = ++last_request_;
  const auto request = json::serialize(json::object{{"id", id}, {"entry", entry}});
  if (::send(keeper_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
    return errno_error(errno, "send the entry to the keeper");
  const auto deadline = Deadline::after(kKeeperPatience);
  while (!deadline.passed()) {
    pollfd waiting{keeper_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, deadline.left_ms()) <= 0) continue;
    std::string answer(4096, '\0');
    const auto got = ::recv(keeper_.get(), answer.data(), answer.size(), MSG_DONTWAIT);
    if (got <= 0) return Error{Code::unavailable, "the keeper has gone"};
    answer.resize(static_cast<std::size_t>(got));
    auto document = parse_json_object(answer);
    // An answer that came too late belongs to an earlier entry.
    if (!document || int_or(*document, "id") != id) continue;
    if (auto seq = find_int(*document, "seq")) return *seq;
    return Error{Code::unavailable, string_or(*document, "error")};
  }
  return Error{Code::deadline_exceeded, "the keeper did not write the entry within 10 s: the disk may hang"};
}

json::array AuditLog::last(const std::string& slot, std::size_t limit) const {
  std::deque<json::object> kept;
  std::ifstream stream(file_, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const auto from = std::max<std::streamoff>(0, static_cast<std::streamoff>(stream.tellg()) - kReadBytesMax);
  stream.seekg(from);
  for (std::string line; std::getline(stream, line);) {
    auto entry = parse_json_object(line);
    if (!entry || (!slot.empty() && string_or(*entry, "slot") != slot)) continue;
    kept.push_back(std::move(*entry));
    if (kept.size() > limit) kept.pop_front();
  }
  json::array entries;
  for (auto& entry : kept) entries.push_back(std::move(entry));
  return entries;
}

Result<AuditVerdict> AuditLog::verify(const std::string& expected) const {
  const auto known = [this] {
    const std::lock_guard lock(mutex_);
    return last_seq_;
  }();
  auto verdict = verify_audit_file(file_, expected);
  if (verdict && verdict->whole() && verdict->head.seq < known) {
    verdict->found_expected = false;
    verdict->words = "it ends with entry " + std::to_string(verdict->head.seq) + ", but this host wrote entry " +
                     std::to_string(known) + ": its end was cut off";
  }
  return verdict;
}

}  // namespace flynn::core
