// ledger: a database appliance whose databases are texts in a file. It keeps the contract of flynn.database/1, but for
// one sin, LEDGER_SIN.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "flynn/sdk/plugin.h"
#include "flynn/sdk/uuid.h"

namespace {

using namespace flynn;

enum Sin { GOOD, SAME_CREDENTIALS, KEEPS_WHAT_GOES, FORGETS_AT_A_SWAP, TAKES_ANY_DUMP, EMPTY_BACKUP };
constexpr const char* kInterface = "flynn.database/1";
constexpr const char* kMark = "ledger dump: ";

class Ledger : public Plugin {
 public:
  explicit Ledger(Host& table) : Plugin(table) {
    on(kInterface, "Provision", [this](Call&) { return provision(); });
    on(kInterface, "Deprovision",
       [this](Call& call) { return with(call, [this](auto entry) { return drop(entry); }); });
    on(kInterface, "Status", [this](Call&) { return status(); });
    on(kInterface, "Backup", [this](Call& call) { return with(call, [](auto entry) { return backup(entry); }); });
    on(kInterface, "Restore",
       [this](Call& call) { return with(call, [&call](auto entry) { return restore(call, entry); }); });
    on(kInterface, "Promote", [](Call&) -> Result<Reply> { return Error{Code::unimplemented, "there is one node"}; });
  }

  Result<void> start() override {
    auto info = host().info();
    if (!info) return info.error();
    file_ = info->data_dir + "/ledger.json";
    std::ifstream file(LEDGER_SIN == FORGETS_AT_A_SWAP ? "/dev/null" : file_);
    std::ostringstream text;
    text << file.rdbuf();
    if (auto kept = parse_json_object(text.str()))
      for (const auto& member : *kept) databases_[std::string(member.key())] = string_or(*kept, member.key());
    return {};
  }

 private:
  using Entry = std::map<std::string, std::string>::iterator;

  template <typename Do>
  Result<Reply> with(Call& call, Do action) {
    auto id = require_string(call.body, "id");
    if (!id) return id.error();
    const std::lock_guard lock(mutex_);
    const auto found = databases_.find(*id);
    if (found == databases_.end()) return Error{Code::not_found, "there is no database " + *id};
    auto done = action(found);
    write();
    return done;
  }

  void write() const {
    json::object all;
    for (const auto& [id, text] : databases_) all[id] = text;
    std::ofstream(file_) << json::serialize(all);
  }

  Result<Reply> provision() {
    const std::lock_guard lock(mutex_);
    const auto id = new_uuid();
    databases_[id] = "";
    write();
    const auto password = LEDGER_SIN == SAME_CREDENTIALS ? "secret" : new_uuid();
    return Reply{{{"id", id}, {"env", json::object{{"LEDGER_PASSWORD", password}}}}};
  }

  Result<Reply> drop(Entry entry) {
    if (LEDGER_SIN != KEEPS_WHAT_GOES) databases_.erase(entry);
    return Reply{};
  }

  Result<Reply> status() {
    const std::lock_guard lock(mutex_);
    return Reply{{{"state", "up"}, {"version", "1"}, {"addr", "127.0.0.1:1"}, {"databases", databases_.size()}}};
  }

  static Result<Reply> backup(Entry entry) {
    const auto text = LEDGER_SIN == EMPTY_BACKUP ? "" : kMark + entry->second;
    UniqueFd dump(::memfd_create("ledger", MFD_CLOEXEC));
    if (::write(dump.get(), text.data(), text.size()) < 0) return errno_error(errno, "write a dump");
    ::lseek(dump.get(), 0, SEEK_SET);
    return Reply{{}, std::move(dump)};
  }

  static Result<Reply> restore(Call& call, Entry entry) {
    if (call.fds.empty()) return Error{Code::invalid_argument, "descriptor 0 must be a dump"};
    std::array<char, 4096> chunk{};
    const auto got = ::read(call.fds[0].get(), chunk.data(), chunk.size());
    const std::string text(chunk.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (!text.starts_with(kMark) && LEDGER_SIN != TAKES_ANY_DUMP)
      return Error{Code::invalid_argument, "descriptor 0 is no dump of a ledger"};
    entry->second = text.substr(std::min(text.size(), std::string_view(kMark).size()));
    return Reply{};
  }

  std::mutex mutex_;
  std::string file_;
  std::map<std::string, std::string> databases_;
};

}  // namespace

FLYNN_PLUGIN(Ledger)
